/*
 * The guardian: withdraws this director when its daemon dies or hangs.
 *
 * It sleeps on file descriptor 3, over which the daemon hands it orders: ready-made VRRP payloads and
 * ready-made netlink messages. On end of file without a disarm (the daemon died, by whatever signal), or when
 * a lease runs out (it hangs), the guardian sends the farewells, keeps each virtual router's addresses until
 * its successor was heard or the hold time is over, removes them, and exits.
 *
 * Everything it needs at that moment (memory, sockets, group memberships) it takes beforehand. It sends and
 * hears UDP over raw sockets, too: a second socket bound to the daemon's port would take packets from it, or
 * get none while the daemon merely hangs.
 *
 * Frames on fd 3, integers little-endian:
 *   u32 length of the body, u32 type, body
 *   type 1, orders: as orders.c reads them
 *   type 2, disarm: no body
 *   type 3, renewal of the lease: no body
 * Answers, one byte each: R orders or renewal taken, X refused (the former orders stay in force), A acting, D done.
 * Exit status: 0 disarmed or never armed, 2 the stream makes no sense, 3 it acted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "channels.h"
#include "withdrawal.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER = 8,
	SPARE_FDS = 32,
	MAX_HEARD = 256, /* packets read from one socket before what is due is done */
	MAX_ACKS = 8,    /* netlink answers looked at for one message */
	REAL_TIME_PRIORITY = 20,
	EXIT_STREAM = 2,
	EXIT_ACTED = 3,
};
enum frame_type { FRAME_ORDERS = 1, FRAME_DISARM = 2, FRAME_RENEWAL = 3 };

static struct orders slots[2];
static struct orders *armed; /* NULL until the first orders */
static uint8_t input[HEADER + MAX_BODY];
static size_t input_length;
static bool input_ended;
static int netlink_fd = -1;

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what the daemon says ---- */

/* Takes orders in place of the former ones, or leaves those in force: nothing is opened for orders that are refused. */
static void handle_orders(const uint8_t *body, size_t length)
{
	struct orders *next = armed == &slots[0] ? &slots[1] : &slots[0];

	if (!parse_orders(next, body, length)) {
		say("malformed orders of %zu bytes refused%s", length, armed ? ", the former stay in force" : "");
		answer('X');
		return;
	}
	open_channels(next);
	armed = next;
	answer('R');
}

/* Reads what fd 3 has now. */
static void read_input(void)
{
	while (!input_ended && input_length < sizeof(input)) {
		ssize_t got = read(ORDERS_FD, input + input_length, sizeof(input) - input_length);
		if (got > 0) {
			input_length += (size_t)got;
		} else if (got < 0 && errno == EINTR) {
			continue;
		} else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			return;
		} else {
			/* Also ECONNRESET: the daemon died with answers of ours unread. */
			input_ended = true;
		}
	}
}

/*
 * Handles the whole frames that have come in. Orders count only until the guardian acts: from then on its
 * fate is sealed, and the daemon can only release it. Returns whether the lease is renewed.
 */
static bool handle_frames(bool acting)
{
	bool renewed = false;
	size_t at = 0;

	while (input_length - at >= HEADER) {
		uint32_t length = read32(input + at);
		uint32_t type = read32(input + at + 4);

		if (length > MAX_BODY || type < FRAME_ORDERS || type > FRAME_RENEWAL ||
		    (type != FRAME_ORDERS && length != 0)) {
			say("malformed frame (length %u, type %u): the stream makes no sense any more", length, type);
			if (acting)
				break;
			exit(EXIT_STREAM);
		}
		if (input_length - at - HEADER < length)
			break;
		if (type == FRAME_DISARM) {
			if (acting)
				say("the daemon is back and takes its addresses over");
			exit(acting ? EXIT_ACTED : 0);
		}
		if (!acting && type == FRAME_RENEWAL) {
			answer(armed != NULL ? 'R' : 'X');
			renewed = true;
		} else if (!acting) {
			handle_orders(input + at + HEADER, length);
			renewed = true;
		}
		at += HEADER + length;
	}
	memmove(input, input + at, input_length - at);
	input_length -= at;
	return renewed;
}

/* ---- acting ---- */

static void hear(int index)
{
	static uint8_t bytes[MAX_PACKET];
	char control[256];
	struct sockaddr_in6 from;

	for (int i = 0; i < MAX_HEARD; i++) {
		struct packet packet;
		struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part,
			.msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(channels[index].fd, &message, MSG_DONTWAIT);
		if (length < 0)
			return;
		if (read_packet(&packet, channels[index].family, bytes, (size_t)length, &message))
			note_packet(armed, index, &packet, now_ms());
	}
}

/* Sends one payload with the farewell's source address: 0, or an errno. */
static int send_one(const struct farewell *f, const struct destination *destination)
{
	const struct channel *channel = &channels[f->mouth];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)channel->interface_index};
	struct iovec part = {.iov_base = (void *)destination->payload, .iov_len = destination->length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (f->family == IPV4) {
		struct in_pktinfo info = {.ipi_ifindex = channel->interface_index};
		memcpy(&info.ipi_spec_dst, f->source, sizeof(info.ipi_spec_dst));
		memcpy(&to4.sin_addr, destination->address, sizeof(to4.sin_addr));
		message.msg_name = &to4;
		message.msg_namelen = sizeof(to4);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		*c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)channel->interface_index};
		memcpy(&info.ipi6_addr, f->source, sizeof(info.ipi6_addr));
		memcpy(&to6.sin6_addr, destination->address, sizeof(to6.sin6_addr));
		message.msg_name = &to6;
		message.msg_namelen = sizeof(to6);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		*c = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return sendmsg(channel->fd, &message, MSG_DONTWAIT) < 0 ? errno : 0;
}

static uint32_t send_farewells(int *error)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < armed->farewell_count; i++) {
		struct farewell *f = &armed->farewells[i];
		for (uint16_t d = 0; f->mouth >= 0 && d < f->destination_count; d++) {
			int result = send_one(f, &f->destinations[d]);
			if (result == 0)
				f->sent = true;
			else
				*error = result;
		}
		sent += f->sent;
	}
	return sent;
}

/* Sends one netlink message and reads its acknowledgement: 0, or an errno. */
static int delete_one(const struct deletion *deletion)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} reply;

	if (send(netlink_fd, deletion->message, deletion->length, MSG_DONTWAIT) < 0)
		return errno;
	/* rtnetlink works inside send(2): the acknowledgement is there already. */
	for (int i = 0; i < MAX_ACKS; i++) {
		ssize_t length = recv(netlink_fd, &reply, sizeof(reply), MSG_DONTWAIT);
		if (length < 0)
			return errno;
		if ((size_t)length >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
		    reply.header.nlmsg_type == NLMSG_ERROR)
			return -((struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
	}
	return EPROTO;
}

/* A link that is set down is not one of those; it may take addresses along. */
static bool is_counted(const struct deletion *deletion)
{
	struct nlmsghdr header;

	memcpy(&header, deletion->message, sizeof(header));
	return header.nlmsg_type != RTM_NEWLINK;
}

struct account {
	uint32_t removed, wanted;
	int error;
};

static void let_go(struct farewell *f, struct account *account)
{
	for (uint16_t i = 0; i < f->deletion_count; i++) {
		int result = delete_one(&f->deletions[i]);
		bool counted = is_counted(&f->deletions[i]);
		account->wanted += counted;
		if (result == 0 || result == EADDRNOTAVAIL)
			account->removed += counted;
		else if (result != ESRCH && result != ENODEV) /* gone: what was wanted */
			account->error = result;
	}
}

/* Lets go of what is due; returns when the next is, UINT64_MAX when all is gone. */
static uint64_t let_go_due(struct account *account)
{
	struct farewell *f;

	while ((f = next_to_let_go(armed, now_ms())) != NULL)
		let_go(f, account);
	return next_due(armed);
}

static void wait_and_hear(uint64_t until)
{
	static struct pollfd watched[MAX_CHANNELS + 1];
	static int indexes[MAX_CHANNELS + 1];
	uint64_t now = now_ms();
	nfds_t count = 0;

	if (!input_ended) {
		indexes[count] = -1;
		watched[count++] = (struct pollfd){.fd = ORDERS_FD, .events = POLLIN};
	}
	for (int i = 0; i < channel_end; i++) {
		if (channels[i].fd < 0 || !channels[i].hears)
			continue;
		indexes[count] = i;
		watched[count++] = (struct pollfd){.fd = channels[i].fd, .events = POLLIN};
	}
	if (poll(watched, count, until > now ? (int)(until - now) : 0) <= 0)
		return;
	for (nfds_t i = 0; i < count; i++) {
		if (watched[i].revents == 0)
			continue;
		if (indexes[i] >= 0) {
			hear(indexes[i]);
		} else {
			read_input();
			handle_frames(true);
			/* A stream that fills the buffer without a sound frame is not looked at again. */
			if (input_length == sizeof(input))
				input_ended = true;
		}
	}
}

__attribute__((noreturn)) static void act(const char *why)
{
	struct account account = {0};
	uint64_t start = now_ms(), next;
	int error = 0;
	uint32_t sent, heard = 0;

	open_ears();
	sent = send_farewells(&error);
	answer('A');
	begin_withdrawal(armed, start);
	while ((next = let_go_due(&account)) != UINT64_MAX)
		wait_and_hear(next);
	answer('D');
	for (uint32_t i = 0; i < armed->farewell_count; i++)
		heard += armed->farewells[i].heard;
	say("%s: %u of %u farewells sent%s%s, successor heard for %u, %u of %u addresses and routes removed within %llu ms%s%s",
		why, sent, armed->farewell_count, error ? ": " : "", error ? strerror(error) : "", heard,
		account.removed, account.wanted, (unsigned long long)(now_ms() - start), account.error ? ": " : "",
		account.error ? strerror(account.error) : "");
	exit(EXIT_ACTED);
}

/* ---- life ---- */

static void stand_fast(void)
{
	/* SIGABRT: a service manager's watchdog may send it to all processes of the service. */
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2,
		SIGTSTP, SIGTTIN, SIGTTOU};
	struct sched_param param = {.sched_priority = REAL_TIME_PRIORITY};
	int fd;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	setsid();
	if (chdir("/") < 0)
		say("chdir: %s", strerror(errno));
	prctl(PR_SET_NAME, "lvs-guardian");
	/* The rest makes it more certain where it is permitted, and is no fault where it is not. */
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory cannot be locked */
	mlockall(MCL_CURRENT | MCL_FUTURE);
#endif
	sched_setscheduler(0, SCHED_RR, &param);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "-1000", 5);
		close(fd);
	}
}

static bool set_up(void)
{
	struct sockaddr_nl local = {.nl_family = AF_NETLINK};
	struct rlimit files;
	int flags = fcntl(ORDERS_FD, F_GETFL);

	look_at_stderr();
	if (flags < 0 || fcntl(ORDERS_FD, F_SETFL, flags | O_NONBLOCK) < 0) {
		say("file descriptor %d: %s (the daemon starts this program, nobody else)", ORDERS_FD, strerror(errno));
		return false;
	}
	/* Soft limits are often 1024, the hard one of a service is more. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MAX_CHANNELS + SPARE_FDS) {
		files.rlim_cur =
			files.rlim_max < MAX_CHANNELS + SPARE_FDS ? files.rlim_max : MAX_CHANNELS + SPARE_FDS;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (netlink_fd < 0 || bind(netlink_fd, (struct sockaddr *)&local, sizeof(local)) < 0) {
		say("netlink: %s", strerror(errno));
		return false;
	}
	return true;
}

int main(void)
{
	uint64_t lease_until = 0;

	if (!set_up())
		return EXIT_FAILURE;
	stand_fast();
	for (;;) {
		struct pollfd orders = {.fd = ORDERS_FD, .events = POLLIN};
		bool leased = armed != NULL && armed->lease_ms > 0;
		uint64_t now = now_ms();
		int timeout = !leased ? -1 : now >= lease_until ? 0 : (int)(lease_until - now);
		int ready = poll(&orders, 1, timeout);

		if (ready > 0) {
			/* What lies in the pipe counts before the lease does: this process may have been late. */
			read_input();
			if (handle_frames(false) && armed != NULL)
				lease_until = now_ms() + armed->lease_ms;
			if (input_ended) {
				if (armed == NULL)
					return 0;
				act("the daemon died");
			}
		} else if (ready == 0 && leased && now_ms() >= lease_until) {
			act("the daemon hangs");
		}
	}
}
