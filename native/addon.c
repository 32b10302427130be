/*
 * Datagram sockets that node:dgram cannot open: raw IP, AF_PACKET and AF_UNIX.
 *
 * No protocol lives here. Socket addresses and option values cross as the bytes of their kernel
 * structures, which TypeScript builds and parses; ancillary data is decoded here, because its layout is
 * a matter of C macros (cmsg(3)).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/*
 * The few libuv symbols needed, all part of its stable 1.x ABI and exported by the node executable.
 * Declared here because the package of Node-API headers does not carry uv.h.
 */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_poll_cb)(uv_handle_t *handle, int status, int events);
extern size_t uv_handle_size(int type);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern int uv_poll_init(uv_loop_t *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, uv_poll_cb callback);
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *handle));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
extern char *uv_err_name_r(int error, char *buffer, size_t length);
enum { UV_POLL = 8, UV_READABLE = 1 }; /* uv_handle_type, uv_poll_event */

enum {
	MAX_MESSAGE = 65536, /* longest IP datagram, rounded up */
	MAX_BATCH = 64,      /* messages of one receive() or send() */
	MAX_OPTION = 4096,   /* bytes of one socket option's value */
	MAX_ARGUMENTS = 4,
	CONTROL_SPACE = 512,
};

struct sock {
	int fd; /* -1 once closed */
	uv_handle_t *poll; /* NULL once libuv let go of it */
	napi_env env;
	napi_ref callback;
	napi_async_context async;
	napi_async_cleanup_hook_handle hook;
	bool finalized; /* the JavaScript handle is gone */
	double empty_at_ms; /* when the receive queue was last seen empty: nothing read later is older */
};

static const napi_type_tag SOCK_TAG = {0x6c76732d64697265ULL, 0x63746f722d736f63ULL};

/* Any failed Node-API call leaves an exception pending, or the environment is going away. */
#define TRY(call)                                                                                          \
	do {                                                                                               \
		if ((call) != napi_ok)                                                                     \
			return NULL;                                                                       \
	} while (0)

static napi_value make_error(napi_env env, int error, const char *syscall_name)
{
	char code[64], words[128], text[256];
	napi_value message, code_value, errno_value, syscall_value, result;

	uv_err_name_r(-error, code, sizeof(code));
	snprintf(text, sizeof(text), "%s: %s (%s)", syscall_name, strerror_r(error, words, sizeof(words)), code);
	TRY(napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message));
	TRY(napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value));
	TRY(napi_create_string_utf8(env, syscall_name, NAPI_AUTO_LENGTH, &syscall_value));
	TRY(napi_create_int32(env, error, &errno_value));
	TRY(napi_create_error(env, code_value, message, &result));
	TRY(napi_set_named_property(env, result, "errno", errno_value));
	TRY(napi_set_named_property(env, result, "syscall", syscall_value));
	return result;
}

static napi_value throw_errno(napi_env env, int error, const char *syscall_name)
{
	napi_value value = make_error(env, error, syscall_name);
	if (value != NULL)
		napi_throw(env, value);
	return NULL;
}

static napi_value throw_type(napi_env env, const char *message)
{
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
	return NULL;
}

/* Reads the arguments; those not given are undefined. */
static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv)
{
	size_t argc = wanted;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
		return false;
	if (argc < wanted) {
		throw_type(env, "too few arguments");
		return false;
	}
	return true;
}

static bool get_int(napi_env env, napi_value value, int32_t *result)
{
	if (napi_get_value_int32(env, value, result) == napi_ok)
		return true;
	throw_type(env, "a number is expected");
	return false;
}

/* Bytes of a Uint8Array (or Buffer); valid until the call returns to JavaScript. */
static bool get_bytes(napi_env env, napi_value value, void **data, size_t *length)
{
	napi_typedarray_type type;
	napi_value buffer;
	size_t offset;
	bool is_typed_array = false;

	napi_is_typedarray(env, value, &is_typed_array);
	if (is_typed_array &&
	    napi_get_typedarray_info(env, value, &type, length, data, &buffer, &offset) == napi_ok &&
	    type == napi_uint8_array)
		return true;
	throw_type(env, "a Uint8Array is expected");
	return false;
}

static struct sock *get_sock(napi_env env, napi_value value, bool must_be_open)
{
	struct sock *sock = NULL;
	bool tagged = false;

	if (napi_check_object_type_tag(env, value, &SOCK_TAG, &tagged) != napi_ok || !tagged ||
	    napi_get_value_external(env, value, (void **)&sock) != napi_ok) {
		throw_type(env, "a socket handle is expected");
		return NULL;
	}
	if (must_be_open && sock->fd < 0) {
		throw_errno(env, EBADF, "socket");
		return NULL;
	}
	return sock;
}

static double clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- for the other files of the addon ---- */

bool addon_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv)
{
	return arguments(env, info, wanted, argv);
}

bool addon_bytes(napi_env env, napi_value value, void **data, size_t *length)
{
	return get_bytes(env, value, data, length);
}

int addon_descriptor(napi_env env, napi_value handle)
{
	struct sock *sock = get_sock(env, handle, true);
	return sock == NULL ? -1 : sock->fd;
}

napi_value addon_throw(napi_env env, int error, const char *syscall_name)
{
	return throw_errno(env, error, syscall_name);
}

/* ---- life of a socket ---- */

static void free_if_done(struct sock *sock)
{
	if (sock->finalized && sock->poll == NULL)
		free(sock);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct sock *sock = uv_handle_get_data(handle);

	sock->poll = NULL;
	free(handle);
	if (sock->hook != NULL) {
		napi_remove_async_cleanup_hook(sock->hook);
		sock->hook = NULL;
	}
	free_if_done(sock);
}

static void close_sock(struct sock *sock)
{
	if (sock->fd < 0)
		return;
	uv_poll_stop(sock->poll);
	uv_close(sock->poll, on_poll_closed);
	close(sock->fd);
	sock->fd = -1;
	if (sock->callback != NULL)
		napi_delete_reference(sock->env, sock->callback);
	sock->callback = NULL;
	if (sock->async != NULL)
		napi_async_destroy(sock->env, sock->async);
	sock->async = NULL;
}

static void on_env_cleanup(napi_async_cleanup_hook_handle hook, void *arg)
{
	struct sock *sock = arg;
	(void)hook; /* on_poll_closed removes it, which tells Node that the clean-up is over */
	close_sock(sock);
}

static void on_finalize(napi_env env, void *data, void *hint)
{
	struct sock *sock = data;
	(void)env;
	(void)hint;
	sock->finalized = true;
	close_sock(sock);
	free_if_done(sock);
}

static void on_poll(uv_handle_t *handle, int status, int events)
{
	struct sock *sock = uv_handle_get_data(handle);
	napi_env env = sock->env;
	napi_handle_scope scope;
	napi_value callback, receiver, result, error;
	(void)events;

	if (napi_open_handle_scope(env, &scope) != napi_ok)
		return;
	if (status < 0) {
		/* libuv stops the handle on POLLERR, as when the link goes down (ENETDOWN). The pending error
		 * comes out of the next recvmsg(2), so reading goes on. */
		uv_poll_start(handle, UV_READABLE, on_poll);
	}
	if (napi_get_reference_value(env, sock->callback, &callback) == napi_ok && callback != NULL &&
	    napi_get_global(env, &receiver) == napi_ok &&
	    napi_make_callback(env, sock->async, receiver, callback, 0, NULL, &result) == napi_pending_exception &&
	    napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
	napi_close_handle_scope(env, scope);
}

/* Gives up a socket whose construction failed half-way; `error` is what to throw. */
static napi_value abandon(napi_env env, struct sock *sock, int error, const char *what)
{
	if (sock->fd >= 0)
		close(sock->fd);
	free(sock->poll);
	free(sock);
	return throw_errno(env, error, what);
}

/* The handle of a descriptor that `fd` tells, negative for the errno of `what`; it is closed when this fails. */
static napi_value wrap(napi_env env, int fd, const char *what, napi_value callback)
{
	napi_value name, result;
	uv_loop_t *loop;
	struct sock *sock;
	int status;

	if (fd < 0)
		return throw_errno(env, -fd, what);
	if (napi_get_uv_event_loop(env, &loop) != napi_ok || (sock = calloc(1, sizeof(*sock))) == NULL) {
		close(fd);
		return throw_errno(env, ENOMEM, "calloc");
	}
	sock->env = env;
	sock->fd = fd;
	sock->poll = calloc(1, uv_handle_size(UV_POLL));
	if (sock->poll == NULL)
		return abandon(env, sock, ENOMEM, "calloc");
	sock->empty_at_ms = clock_ms(CLOCK_MONOTONIC);
	status = uv_poll_init(loop, sock->poll, sock->fd);
	if (status < 0)
		return abandon(env, sock, -status, "uv_poll_init");
	uv_handle_set_data(sock->poll, sock);

	if (napi_create_external(env, sock, on_finalize, NULL, &result) != napi_ok) {
		sock->finalized = true;
		close_sock(sock);
		return NULL;
	}
	/* From here on the external owns the descriptor: a failure leaves it to the garbage collector. */
	TRY(napi_type_tag_object(env, result, &SOCK_TAG));
	TRY(napi_create_string_utf8(env, "lvs-director:socket", NAPI_AUTO_LENGTH, &name));
	TRY(napi_async_init(env, NULL, name, &sock->async));
	TRY(napi_create_reference(env, callback, 1, &sock->callback));
	TRY(napi_add_async_cleanup_hook(env, on_env_cleanup, sock, &sock->hook));
	return result;
}

static bool is_function(napi_env env, napi_value value)
{
	napi_valuetype type;
	if (napi_typeof(env, value, &type) == napi_ok && type == napi_function)
		return true;
	throw_type(env, "a function is expected");
	return false;
}

/* open(family, type, protocol, onReadable) -> handle */
static napi_value sock_open(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int32_t family, type, protocol;
	int fd;

	if (!arguments(env, info, 4, argv) || !get_int(env, argv[0], &family) || !get_int(env, argv[1], &type) ||
	    !get_int(env, argv[2], &protocol) || !is_function(env, argv[3]))
		return NULL;
	fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	return wrap(env, fd < 0 ? -errno : fd, "socket", argv[3]);
}

/*
 * openTimer(onDue) -> handle, for close(), watch(), keepAlive() and setTimer(). timerfd_create(2): libuv's own
 * timers count in whole milliseconds.
 */
static napi_value timer_open(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int fd;

	if (!arguments(env, info, 1, argv) || !is_function(env, argv[0]))
		return NULL;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return wrap(env, fd < 0 ? -errno : fd, "timerfd_create", argv[0]);
}

/* setTimer(handle, atMs): CLOCK_MONOTONIC; 0 stops it. What was due before is forgotten. */
static napi_value timer_set(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct itimerspec spec = {0};
	struct sock *sock;
	double at_ms;

	if (!arguments(env, info, 2, argv) || (sock = get_sock(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_double(env, argv[1], &at_ms));
	if (!(at_ms >= 0 && at_ms < 9e15))
		return throw_errno(env, EINVAL, "timerfd_settime");
	spec.it_value.tv_sec = (time_t)(at_ms / 1e3);
	spec.it_value.tv_nsec = (long)((at_ms - (double)spec.it_value.tv_sec * 1e3) * 1e6);
	if (timerfd_settime(sock->fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return throw_errno(env, errno, "timerfd_settime");
	return NULL;
}

/* close(handle): a second time does nothing */
static napi_value sock_close(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;

	if (!arguments(env, info, 1, argv) || (sock = get_sock(env, argv[0], false)) == NULL)
		return NULL;
	close_sock(sock);
	return NULL;
}

/* watch(handle, on): calls onReadable while something lies in the receive queue */
static napi_value sock_watch(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;
	bool on;
	int status;

	if (!arguments(env, info, 2, argv) || (sock = get_sock(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_bool(env, argv[1], &on));
	status = on ? uv_poll_start(sock->poll, UV_READABLE, on_poll) : uv_poll_stop(sock->poll);
	return status < 0 ? throw_errno(env, -status, "uv_poll_start") : NULL;
}

/* keepAlive(handle, on): whether the socket keeps the event loop running */
static napi_value sock_keep_alive(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;
	bool on;

	if (!arguments(env, info, 2, argv) || (sock = get_sock(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_bool(env, argv[1], &on));
	if (on)
		uv_ref(sock->poll);
	else
		uv_unref(sock->poll);
	return NULL;
}

/* ---- socket calls ---- */

/* bind(handle, sockaddr) */
static napi_value sock_bind(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;
	void *address;
	size_t length;

	if (!arguments(env, info, 2, argv) || (sock = get_sock(env, argv[0], true)) == NULL ||
	    !get_bytes(env, argv[1], &address, &length))
		return NULL;
	if (length > sizeof(struct sockaddr_storage))
		return throw_errno(env, EINVAL, "bind");
	if (bind(sock->fd, address, (socklen_t)length) < 0)
		return throw_errno(env, errno, "bind");
	return NULL;
}

/* setOption(handle, level, name, value) */
static napi_value sock_set_option(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;
	int32_t level, name;
	void *value;
	size_t length;

	if (!arguments(env, info, 4, argv) || (sock = get_sock(env, argv[0], true)) == NULL ||
	    !get_int(env, argv[1], &level) || !get_int(env, argv[2], &name) ||
	    !get_bytes(env, argv[3], &value, &length))
		return NULL;
	if (length > MAX_OPTION)
		return throw_errno(env, EINVAL, "setsockopt");
	if (setsockopt(sock->fd, level, name, value, (socklen_t)length) < 0)
		return throw_errno(env, errno, "setsockopt");
	return NULL;
}

/* getOption(handle, level, name, length) -> Buffer */
static napi_value sock_get_option(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	struct sock *sock;
	int32_t level, name, wanted;
	char value[MAX_OPTION] = {0};
	socklen_t length;

	if (!arguments(env, info, 4, argv) || (sock = get_sock(env, argv[0], true)) == NULL ||
	    !get_int(env, argv[1], &level) || !get_int(env, argv[2], &name) || !get_int(env, argv[3], &wanted))
		return NULL;
	if (wanted < 0 || wanted > MAX_OPTION)
		return throw_errno(env, EINVAL, "getsockopt");
	length = (socklen_t)wanted;
	if (getsockopt(sock->fd, level, name, value, &length) < 0)
		return throw_errno(env, errno, "getsockopt");
	TRY(napi_create_buffer_copy(env, length, value, NULL, &result));
	return result;
}

/* The element `index` of an array, as bytes. */
static bool get_bytes_at(napi_env env, napi_value array, uint32_t index, void **data, size_t *length)
{
	napi_value element;
	return napi_get_element(env, array, index, &element) == napi_ok && get_bytes(env, element, data, length);
}

/*
 * send(handle, messages, sockaddrs): arrays of the same length, in one system call. Never blocks: EAGAIN when the send
 * queue is full. One that is refused does not stop the rest; the first refusal is thrown when all have been tried.
 */
static napi_value sock_send(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct sock *sock;
	struct mmsghdr headers[MAX_BATCH] = {0};
	struct iovec parts[MAX_BATCH];
	uint32_t count = 0, addresses = 0;
	int refused = 0;

	if (!arguments(env, info, 3, argv) || (sock = get_sock(env, argv[0], true)) == NULL)
		return NULL;
	if (napi_get_array_length(env, argv[1], &count) != napi_ok ||
	    napi_get_array_length(env, argv[2], &addresses) != napi_ok || addresses != count)
		return throw_type(env, "two arrays of the same length are expected");
	if (count > MAX_BATCH)
		return throw_errno(env, EINVAL, "sendmsg");
	for (uint32_t i = 0; i < count; i++) {
		struct msghdr *message = &headers[i].msg_hdr;
		size_t address_length;

		if (!get_bytes_at(env, argv[1], i, &parts[i].iov_base, &parts[i].iov_len) ||
		    !get_bytes_at(env, argv[2], i, &message->msg_name, &address_length))
			return NULL;
		if (address_length > sizeof(struct sockaddr_storage))
			return throw_errno(env, EINVAL, "sendmsg");
		message->msg_namelen = (socklen_t)address_length;
		message->msg_iov = &parts[i];
		message->msg_iovlen = 1;
	}
	for (uint32_t done = 0; done < count;) {
		int sent = sendmmsg(sock->fd, headers + done, count - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && refused == 0)
			refused = errno;
		done += sent > 0 ? (uint32_t)sent : 1;
	}
	return refused != 0 ? throw_errno(env, refused, "sendmsg") : NULL;
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
static double received_at_ms(const struct sock *sock, const struct origin *origin)
{
	double now = clock_ms(CLOCK_MONOTONIC);
	double at = now;

	if (origin->stamped) {
		double stamp = (double)origin->stamp.tv_sec * 1e3 + (double)origin->stamp.tv_nsec / 1e6;
		at = now - (clock_ms(CLOCK_REALTIME) - stamp);
	}
	if (at > now)
		return now;
	return at < sock->empty_at_ms ? sock->empty_at_ms : at;
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

static int receive_batch(struct sock *sock, struct batch *batch, unsigned int max)
{
	int received;

	for (unsigned int i = 0; i < max; i++) {
		batch->parts[i] = (struct iovec){.iov_base = batch->data[i], .iov_len = MAX_MESSAGE};
		batch->headers[i].msg_hdr = (struct msghdr){.msg_name = &batch->addresses[i],
			.msg_namelen = sizeof(batch->addresses[i]), .msg_iov = &batch->parts[i], .msg_iovlen = 1,
			.msg_control = &batch->controls[i], .msg_controllen = sizeof(batch->controls[i])};
	}
	do
		received = recvmmsg(sock->fd, batch->headers, max, MSG_DONTWAIT, NULL);
	while (received < 0 && errno == EINTR);
	return received;
}

/* The bytes of all messages in one Buffer: data, sockaddr and destination of the first, then of the next. */
static napi_value batch_bytes(napi_env env, struct sock *sock, struct batch *batch, int count, double *fields)
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
		fields[FIELD_AT_MS] = received_at_ms(sock, origin);
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
static napi_value sock_receive(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], buffer, result;
	napi_typedarray_type type;
	struct sock *sock;
	struct batch *batch;
	double before, *table;
	size_t length, offset, max;
	int count;

	if (!arguments(env, info, 2, argv) || (sock = get_sock(env, argv[0], true)) == NULL)
		return NULL;
	if (napi_get_typedarray_info(env, argv[1], &type, &length, (void **)&table, &buffer, &offset) != napi_ok ||
	    type != napi_float64_array)
		return throw_type(env, "a Float64Array is expected");
	max = length == 0 ? 0 : (length - 1) / FIELDS;
	if (max < 1 || max > MAX_BATCH)
		return throw_errno(env, EINVAL, "recvmsg");
	if ((batch = get_batch()) == NULL)
		return throw_errno(env, ENOMEM, "calloc");
	before = clock_ms(CLOCK_MONOTONIC);
	count = receive_batch(sock, batch, (unsigned int)max);
	if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return throw_errno(env, errno, "recvmsg");
	table[0] = count < 0 ? 0 : count;
	TRY(napi_get_undefined(env, &result));
	if (count > 0 && (result = batch_bytes(env, sock, batch, count, table + 1)) == NULL)
		return NULL;
	if (count < (int)max)
		sock->empty_at_ms = before;
	return result;
}

/* ---- interfaces ---- */

static bool get_interface_name(napi_env env, napi_value value, char name[IFNAMSIZ])
{
	size_t length;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
		throw_type(env, "an interface name is expected");
		return false;
	}
	if (length == 0 || length >= IFNAMSIZ) {
		throw_errno(env, ENODEV, "if_nametoindex");
		return false;
	}
	return napi_get_value_string_utf8(env, value, name, IFNAMSIZ, &length) == napi_ok;
}

/* interfaceInfo(name) -> { index, flags, hardwareType, hardwareAddress } (netdevice(7)) */
static napi_value interface_info(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result, value;
	char name[IFNAMSIZ];
	struct ifreq request = {0};
	int fd, index, flags = 0, error = 0;
	const char *what = "SIOCGIFINDEX";

	if (!arguments(env, info, 1, argv) || !get_interface_name(env, argv[0], name))
		return NULL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return throw_errno(env, errno, "socket");
	memcpy(request.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		error = errno;
	index = request.ifr_ifindex;
	if (error == 0 && ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
		error = errno;
		what = "SIOCGIFFLAGS";
	}
	flags = (unsigned short)request.ifr_flags;
	if (error == 0 && ioctl(fd, SIOCGIFHWADDR, &request) < 0) {
		error = errno;
		what = "SIOCGIFHWADDR";
	}
	close(fd);
	if (error != 0)
		return throw_errno(env, error, what);
	TRY(napi_create_object(env, &result));
	TRY(napi_create_int32(env, index, &value));
	TRY(napi_set_named_property(env, result, "index", value));
	TRY(napi_create_int32(env, flags, &value));
	TRY(napi_set_named_property(env, result, "flags", value));
	TRY(napi_create_int32(env, request.ifr_hwaddr.sa_family, &value));
	TRY(napi_set_named_property(env, result, "hardwareType", value));
	/* Six bytes: the longest this ioctl is defined for, and what Ethernet has. */
	TRY(napi_create_buffer_copy(env, 6, request.ifr_hwaddr.sa_data, NULL, &value));
	TRY(napi_set_named_property(env, result, "hardwareAddress", value));
	return result;
}

/*
 * interfaceAddresses() -> [{ name, family, address }] in the kernel's order, which has the primary
 * addresses of an interface before its secondary ones. Other than os.networkInterfaces() it also has
 * interfaces that are down.
 */
static napi_value interface_addresses(napi_env env, napi_callback_info info)
{
	napi_value result, object, value;
	struct ifaddrs *list;
	uint32_t count = 0;
	bool ok = true;
	(void)info;

	TRY(napi_create_array(env, &result));
	if (getifaddrs(&list) < 0)
		return throw_errno(env, errno, "getifaddrs");
	for (struct ifaddrs *i = list; i != NULL && ok; i = i->ifa_next) {
		const void *bytes;
		size_t length;

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			bytes = &((struct sockaddr_in *)i->ifa_addr)->sin_addr;
			length = 4;
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			bytes = &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
			length = 16;
		} else {
			continue;
		}
		ok = napi_create_object(env, &object) == napi_ok &&
		     napi_create_string_utf8(env, i->ifa_name, NAPI_AUTO_LENGTH, &value) == napi_ok &&
		     napi_set_named_property(env, object, "name", value) == napi_ok &&
		     napi_create_int32(env, i->ifa_addr->sa_family, &value) == napi_ok &&
		     napi_set_named_property(env, object, "family", value) == napi_ok &&
		     napi_create_buffer_copy(env, length, bytes, NULL, &value) == napi_ok &&
		     napi_set_named_property(env, object, "address", value) == napi_ok &&
		     napi_set_element(env, result, count++, object) == napi_ok;
	}
	freeifaddrs(list);
	return ok ? result : NULL;
}

/* ---- the process itself ---- */

/* Set when a thread used up RLIMIT_RTTIME and lost its real-time priority. */
static volatile sig_atomic_t real_time_lost;

/*
 * A real-time thread that does not sleep for so long is given up: a reload of a huge file may take it, and a loop
 * gone wild must not freeze a host with one processor. The kernel's own throttling (sched_rt_runtime_us) leaves
 * others only a twentieth, and some systems switch it off.
 */
static const rlim_t MAX_SPIN_US = 1000000;

static void on_spinning(int signal)
{
	static const struct sched_param normal = {.sched_priority = 0};
	int saved = errno;
	(void)signal;
	/* The signal goes to the process; the thread that spins is the event loop's, or this one. */
	sched_setscheduler(getpid(), SCHED_OTHER | SCHED_RESET_ON_FORK, &normal);
	sched_setscheduler((pid_t)syscall(SYS_gettid), SCHED_OTHER | SCHED_RESET_ON_FORK, &normal);
	real_time_lost = 1;
	errno = saved;
}

/*
 * setRealTime(priority) -> number of threads: SCHED_RR for all threads there are, since the event loop waits for
 * those that collect garbage or read files. Children start with the normal policy (SCHED_RESET_ON_FORK), and so do
 * threads made later.
 */
static napi_value set_real_time(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	struct sched_param wanted = {0};
	struct sigaction action = {.sa_handler = on_spinning, .sa_flags = SA_RESTART};
	struct rlimit limit;
	int32_t priority, threads = 0;
	int error = 0;
	struct dirent *entry;
	DIR *tasks;

	if (!arguments(env, info, 1, argv) || !get_int(env, argv[0], &priority))
		return NULL;
	if (sigaction(SIGXCPU, &action, NULL) < 0)
		return throw_errno(env, errno, "sigaction");
	if (getrlimit(RLIMIT_RTTIME, &limit) < 0)
		return throw_errno(env, errno, "getrlimit");
	limit.rlim_cur = limit.rlim_max < MAX_SPIN_US ? limit.rlim_max : MAX_SPIN_US;
	if (setrlimit(RLIMIT_RTTIME, &limit) < 0)
		return throw_errno(env, errno, "setrlimit");
	wanted.sched_priority = priority;
	tasks = opendir("/proc/self/task");
	if (tasks == NULL)
		return throw_errno(env, errno, "opendir");
	while (error == 0 && (entry = readdir(tasks)) != NULL) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
		if (thread <= 0)
			continue;
		if (sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, &wanted) == 0)
			threads++;
		else if (errno != ESRCH) /* a thread may have ended meanwhile */
			error = errno;
	}
	closedir(tasks);
	if (error != 0)
		return throw_errno(env, error, "sched_setscheduler");
	real_time_lost = 0;
	TRY(napi_create_int32(env, threads, &result));
	return result;
}

/* realTimeLost() -> whether a thread spun and was given up since the last setRealTime() */
static napi_value get_real_time_lost(napi_env env, napi_callback_info info)
{
	napi_value result;
	(void)info;
	TRY(napi_get_boolean(env, real_time_lost != 0, &result));
	return result;
}

/* lockDirectory(path) -> descriptor: flock(2), which the kernel drops with the process; EAGAIN when taken */
static napi_value lock_directory(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result;
	char path[4096];
	size_t length;
	int fd, error;

	if (!arguments(env, info, 1, argv))
		return NULL;
	if (napi_get_value_string_utf8(env, argv[0], path, sizeof(path), &length) != napi_ok)
		return throw_type(env, "a path is expected");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return throw_errno(env, errno, "open");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error = errno;
		close(fd);
		return throw_errno(env, error, "flock");
	}
	TRY(napi_create_int32(env, fd, &result));
	return result;
}

/* dieWithParent(): SIGKILL when the thread that started this process ends (PR_SET_PDEATHSIG) */
static napi_value die_with_parent(napi_env env, napi_callback_info info)
{
	(void)info;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return throw_errno(env, errno, "prctl");
	return NULL;
}

/* exitNow(status): _exit(2). exit(3) would wait for libuv's threads, and one may hang in a write(2). */
static napi_value exit_now(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int32_t status;

	if (!arguments(env, info, 1, argv) || !get_int(env, argv[0], &status))
		return NULL;
	_exit(status);
}

/* killIn(ms): SIGALRM, whose default action ends the process even where it hangs in a killable system call */
static napi_value kill_in(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct itimerval timer = {0};
	int32_t ms;

	if (!arguments(env, info, 1, argv) || !get_int(env, argv[0], &ms))
		return NULL;
	if (ms < 1)
		return throw_errno(env, EINVAL, "setitimer");
	timer.it_value.tv_sec = ms / 1000;
	timer.it_value.tv_usec = ms % 1000 * 1000;
	if (setitimer(ITIMER_REAL, &timer, NULL) < 0)
		return throw_errno(env, errno, "setitimer");
	return NULL;
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback function;
	} functions[] = {
		{"open", sock_open},
		{"openTimer", timer_open},
		{"setTimer", timer_set},
		{"close", sock_close},
		{"watch", sock_watch},
		{"keepAlive", sock_keep_alive},
		{"bind", sock_bind},
		{"setOption", sock_set_option},
		{"getOption", sock_get_option},
		{"attachFilter", attach_filter},
		{"send", sock_send},
		{"volley", fire_volley},
		{"receive", sock_receive},
		{"interfaceInfo", interface_info},
		{"interfaceAddresses", interface_addresses},
		{"setRealTime", set_real_time},
		{"realTimeLost", get_real_time_lost},
		{"lockMemory", lock_memory},
		{"releaseCode", release_code},
		{"lockDirectory", lock_directory},
		{"dieWithParent", die_with_parent},
		{"exitNow", exit_now},
		{"killIn", kill_in},
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		napi_value function;
		TRY(napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
			&function));
		TRY(napi_set_named_property(env, exports, functions[i].name, function));
	}
	return exports;
}
