/* Whether a packet is a successor's. */
#ifndef LVS_DIRECTOR_SUCCESSOR_H
#define LVS_DIRECTOR_SUCCESSOR_H
#include "advertisement.h"
#include "orders.h"

#include <sys/socket.h>

enum {
	UDP_HEADER = 8,
	MAX_PACKET = 60 + UDP_HEADER + MAX_ADVERTISEMENT, /* with the longest IPv4 header */
};

/* A packet as it came in. */
struct packet {
	uint8_t source[ADDRESS_LENGTH], destination[ADDRESS_LENGTH];
	int hops; /* -1: not told */
	const uint8_t *body;
	size_t length;
};

/* A packet of a raw socket. Under IPv4 it comes with its IP header, under IPv6 what `message` says comes beside it. */
bool read_packet(struct packet *packet, uint8_t family, const uint8_t *bytes, size_t length, struct msghdr *message);

/* Whether a packet is a master's, as the election would judge: priority 0 leaves, too. */
bool is_successor(const struct farewell *f, const struct packet *packet);

#endif
