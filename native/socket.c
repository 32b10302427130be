/*
 * Datagram sockets that node:dgram cannot open: raw IP, AF_PACKET, AF_UNIX and netlink. Socket addresses and option values
 * cross as the bytes of their kernel structures, which TypeScript builds and parses; ancillary data is decoded here,
 * because its layout is a matter of C macros (cmsg(3)).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "handle.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	MAX_MESSAGE = 65536, /* longest IP datagram, rounded up */
	MAX_BATCH = 64,      /* messages of one receive() or send() */
	MAX_OPTION = 4096,   /* bytes of one socket option's value */
	CONTROL_SPACE = 512,
};

/* open(family, type, protocol, onReadable) -> handle */
napi_value open_socket(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int32_t family, type, protocol;
	int fd;

	if (!addon_arguments(env, info, 4, argv) || !addon_int(env, argv[0], &family) || !addon_int(env, argv[1], &type) ||
	    !addon_int(env, argv[2], &protocol) || !addon_function(env, argv[3]))
		return NULL;
	fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	return handle_wrap(env, fd < 0 ? -errno : fd, "socket", argv[3]);
}

/* bind(handle, sockaddr) */
napi_value bind_socket(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;
	void *address;
	size_t length;

	if (!addon_arguments(env, info, 2, argv) || (handle = handle_get(env, argv[0], true)) == NULL ||
	    !addon_bytes(env, argv[1], &address, &length))
		return NULL;
	if (length > sizeof(struct sockaddr_storage))
		return addon_throw(env, EINVAL, "bind");
	if (bind(handle->fd, address, (socklen_t)length) < 0)
		return addon_throw(env, errno, "bind");
	return NULL;
}

/* setOption(handle, level, name, value) */
napi_value set_option(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;
	int32_t level, name;
	void *value;
	size_t length;

	if (!addon_arguments(env, info, 4, argv) || (handle = handle_get(env, argv[0], true)) == NULL ||
	    !addon_int(env, argv[1], &level) || !addon_int(env, argv[2], &name) ||
	    !addon_bytes(env, argv[3], &value, &length))
		return NULL;
	if (length > MAX_OPTION)
		return addon_throw(env, EINVAL, "setsockopt");
	if (setsockopt(handle->fd, level, name, value, (socklen_t)length) < 0)
		return addon_throw(env, errno, "setsockopt");
	return NULL;
}

/* getOption(handle, level, name, length) -> Buffer */
napi_value get_option(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	struct handle *handle;
	int32_t level, name, wanted;
	char value[MAX_OPTION] = {0};
	socklen_t length;

	if (!addon_arguments(env, info, 4, argv) || (handle = handle_get(env, argv[0], true)) == NULL ||
	    !addon_int(env, argv[1], &level) || !addon_int(env, argv[2], &name) || !addon_int(env, argv[3], &wanted))
		return NULL;
	if (wanted < 0 || wanted > MAX_OPTION)
		return addon_throw(env, EINVAL, "getsockopt");
	length = (socklen_t)wanted;
	if (getsockopt(handle->fd, level, name, value, &length) < 0)
		return addon_throw(env, errno, "getsockopt");
	TRY(napi_create_buffer_copy(env, length, value, NULL, &result));
	return result;
}

/* The element `index` of an array, as bytes. */
static bool get_bytes_at(napi_env env, napi_value array, uint32_t index, void **data, size_t *length)
{
	napi_value element;
	return napi_get_element(env, array, index, &element) == napi_ok && addon_bytes(env, element, data, length);
}

/*
 * send(handle, messages, sockaddrs): arrays of the same length, in one system call. Never blocks: EAGAIN when the send
 * queue is full. One that is refused does not stop the rest; the first refusal is thrown when all have been tried.
 */
napi_value send_batch(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;
	struct mmsghdr headers[MAX_BATCH] = {0};
	struct iovec parts[MAX_BATCH];
	uint32_t count = 0, addresses = 0;
	int refused = 0;

	if (!addon_arguments(env, info, 3, argv) || (handle = handle_get(env, argv[0], true)) == NULL)
		return NULL;
	if (napi_get_array_length(env, argv[1], &count) != napi_ok ||
	    napi_get_array_length(env, argv[2], &addresses) != napi_ok || addresses != count)
		return addon_throw_type(env, "two arrays of the same length are expected");
	if (count > MAX_BATCH)
		return addon_throw(env, EINVAL, "sendmsg");
	for (uint32_t i = 0; i < count; i++) {
		struct msghdr *message = &headers[i].msg_hdr;
		size_t address_length;

		if (!get_bytes_at(env, argv[1], i, &parts[i].iov_base, &parts[i].iov_len) ||
		    !get_bytes_at(env, argv[2], i, &message->msg_name, &address_length))
			return NULL;
		if (address_length > sizeof(struct sockaddr_storage))
			return addon_throw(env, EINVAL, "sendmsg");
		message->msg_namelen = (socklen_t)address_length;
		message->msg_iov = &parts[i];
		message->msg_iovlen = 1;
	}
	for (uint32_t done = 0; done < count;) {
		int sent = sendmmsg(handle->fd, headers + done, count - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && refused == 0)
			refused = errno;
		done += sent > 0 ? (uint32_t)sent : 1;
	}
	return refused != 0 ? addon_throw(env, refused, "sendmsg") : NULL;
}

/* What the ancillary data of one message says. */
struct origin {
	const void *destination;
	size_t destination_length;
	int interface_index;
	int hop_limit;
	bool stamped;
	struct timespec stamp; /* CLOCK_REALTIME, SO_TIMESTAMPNS */
};

static void read_control(struct msghdr *message, struct origin *origin)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t length = c->cmsg_len - CMSG_LEN(0);
		const unsigned char *data = CMSG_DATA(c);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
		    length >= sizeof(origin->stamp)) {
			memcpy(&origin->stamp, data, sizeof(origin->stamp));
			origin->stamped = true;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
			   length >= sizeof(struct in_pktinfo)) {
			struct in_pktinfo packet;
			memcpy(&packet, data, sizeof(packet));
			origin->interface_index = packet.ipi_ifindex;
			origin->destination = data + offsetof(struct in_pktinfo, ipi_addr);
			origin->destination_length = sizeof(packet.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
			   length >= sizeof(struct in6_pktinfo)) {
			struct in6_pktinfo packet;
			memcpy(&packet, data, sizeof(packet));
			origin->interface_index = (int)packet.ipi6_ifindex;
			origin->destination = data + offsetof(struct in6_pktinfo, ipi6_addr);
			origin->destination_length = sizeof(packet.ipi6_addr);
		} else if (((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
			    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) &&
			   length >= sizeof(int)) {
			memcpy(&origin->hop_limit, data, sizeof(int));
		}
	}
}

/*
 * Turns the kernel's wall-clock stamp into CLOCK_MONOTONIC. The wall clock may have been set in between:
 * no message can be older than the last look into an empty queue, so that bounds the damage.
 */
static double received_at_ms(const struct handle *handle, const struct origin *origin)
{
	double now = clock_ms(CLOCK_MONOTONIC);
	double at = now;

	if (origin->stamped) {
		double stamp = (double)origin->stamp.tv_sec * 1e3 + (double)origin->stamp.tv_nsec / 1e6;
		at = now - (clock_ms(CLOCK_REALTIME) - stamp);
	}
	if (at > now)
		return now;
	return at < handle->empty_at_ms ? handle->empty_at_ms : at;
}

/* What receive() tells of one message, as doubles; io/sockets/datagram-socket.ts knows the order. */
enum { FIELD_LENGTH, FIELD_ADDRESS, FIELD_DESTINATION, FIELD_INTERFACE, FIELD_HOP_LIMIT, FIELD_AT_MS, FIELD_TRUNCATED, FIELDS };

/* Room for one batch. Of each slot only those pages are resident that a message needed. */
struct batch {
	struct mmsghdr headers[MAX_BATCH];
	struct iovec parts[MAX_BATCH];
	struct sockaddr_storage addresses[MAX_BATCH];
	union {
		char bytes[CONTROL_SPACE];
		struct cmsghdr align;
	} controls[MAX_BATCH];
	struct origin origins[MAX_BATCH];
	char data[MAX_BATCH][MAX_MESSAGE];
};

static struct batch *get_batch(void)
{
	static _Thread_local struct batch *batch;
	if (batch == NULL)
		batch = calloc(1, sizeof(*batch));
	return batch;
}

static int receive_into(struct handle *handle, struct batch *batch, unsigned int max)
{
	int received;

	for (unsigned int i = 0; i < max; i++) {
		batch->parts[i] = (struct iovec){.iov_base = batch->data[i], .iov_len = MAX_MESSAGE};
		batch->headers[i].msg_hdr = (struct msghdr){.msg_name = &batch->addresses[i],
			.msg_namelen = sizeof(batch->addresses[i]), .msg_iov = &batch->parts[i], .msg_iovlen = 1,
			.msg_control = &batch->controls[i], .msg_controllen = sizeof(batch->controls[i])};
	}
	do
		received = recvmmsg(handle->fd, batch->headers, max, MSG_DONTWAIT, NULL);
	while (received < 0 && errno == EINTR);
	return received;
}

/* The bytes of all messages in one Buffer: data, sockaddr and destination of the first, then of the next. */
static napi_value batch_bytes(napi_env env, struct handle *handle, struct batch *batch, int count, double *fields)
{
	napi_value result;
	size_t total = 0;
	char *to;

	for (int i = 0; i < count; i++, fields += FIELDS) {
		struct msghdr *message = &batch->headers[i].msg_hdr;
		struct origin *origin = &batch->origins[i];

		*origin = (struct origin){.interface_index = 0, .hop_limit = -1};
		read_control(message, origin);
		if (message->msg_namelen > sizeof(batch->addresses[i]))
			message->msg_namelen = sizeof(batch->addresses[i]);
		fields[FIELD_LENGTH] = batch->headers[i].msg_len;
		fields[FIELD_ADDRESS] = message->msg_namelen;
		fields[FIELD_DESTINATION] = (double)origin->destination_length;
		fields[FIELD_INTERFACE] = origin->interface_index;
		fields[FIELD_HOP_LIMIT] = origin->hop_limit;
		fields[FIELD_AT_MS] = received_at_ms(handle, origin);
		fields[FIELD_TRUNCATED] = (message->msg_flags & MSG_TRUNC) != 0;
		total += batch->headers[i].msg_len + message->msg_namelen + origin->destination_length;
	}
	TRY(napi_create_buffer(env, total, (void **)&to, &result));
	for (int i = 0; i < count; i++) {
		struct mmsghdr *header = &batch->headers[i];

		to = mempcpy(to, batch->data[i], header->msg_len);
		to = mempcpy(to, &batch->addresses[i], header->msg_hdr.msg_namelen);
		if (batch->origins[i].destination_length > 0)
			to = mempcpy(to, batch->origins[i].destination, batch->origins[i].destination_length);
	}
	return result;
}

/*
 * receive(handle, table) -> Buffer or undefined: what is queued now, in one system call. `table` (Float64Array) has
 * room for so many messages; its first number becomes their count, then come the FIELDS of each. Fewer than there is
 * room for: the queue was empty, or the next call throws.
 */
napi_value receive_batch(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], buffer, result;
	napi_typedarray_type type;
	struct handle *handle;
	struct batch *batch;
	double before, *table;
	size_t length, offset, max;
	int count;

	if (!addon_arguments(env, info, 2, argv) || (handle = handle_get(env, argv[0], true)) == NULL)
		return NULL;
	if (napi_get_typedarray_info(env, argv[1], &type, &length, (void **)&table, &buffer, &offset) != napi_ok ||
	    type != napi_float64_array)
		return addon_throw_type(env, "a Float64Array is expected");
	max = length == 0 ? 0 : (length - 1) / FIELDS;
	if (max < 1 || max > MAX_BATCH)
		return addon_throw(env, EINVAL, "recvmsg");
	if ((batch = get_batch()) == NULL)
		return addon_throw(env, ENOMEM, "calloc");
	before = clock_ms(CLOCK_MONOTONIC);
	count = receive_into(handle, batch, (unsigned int)max);
	if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return addon_throw(env, errno, "recvmsg");
	table[0] = count < 0 ? 0 : count;
	TRY(napi_get_undefined(env, &result));
	if (count > 0 && (result = batch_bytes(env, handle, batch, count, table + 1)) == NULL)
		return NULL;
	if (count < (int)max)
		handle->empty_at_ms = before;
	return result;
}
