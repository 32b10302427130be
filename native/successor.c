/* Whether a packet is a successor's, as the election would judge. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "successor.h"

#include <netinet/in.h>
#include <string.h>

enum { UDP_DESTINATION_PORT = 2 };

/* Under IPv4 the packet comes with its IP header. */
static bool read_ipv4(struct packet *packet, const uint8_t *bytes, size_t length)
{
	if (length < 20 || bytes[0] >> 4 != IPV4)
		return false;
	size_t header = (size_t)(bytes[0] & 0x0f) * 4;
	if (header < 20 || length < header)
		return false;
	packet->hops = bytes[8];
	memcpy(packet->source, bytes + 12, 4);
	memcpy(packet->destination, bytes + 16, 4);
	packet->body = bytes + header;
	packet->length = length - header;
	return true;
}

/* Under IPv6 without it: addresses and hop limit come beside it. */
static bool read_ipv6(struct packet *packet, const uint8_t *bytes, size_t length, struct msghdr *message)
{
	const struct sockaddr_in6 *from = message->msg_name;

	if (message->msg_namelen < sizeof(*from))
		return false;
	memcpy(packet->source, &from->sin6_addr, ADDRESS_LENGTH);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
			memcpy(packet->destination, CMSG_DATA(c), ADDRESS_LENGTH); /* ipi6_addr comes first */
		else if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(int)))
			memcpy(&packet->hops, CMSG_DATA(c), sizeof(int));
	}
	packet->body = bytes;
	packet->length = length;
	return true;
}

bool read_packet(struct packet *packet, uint8_t family, const uint8_t *bytes, size_t length, struct msghdr *message)
{
	*packet = (struct packet){.hops = -1};
	return family == IPV4 ? read_ipv4(packet, bytes, length) : read_ipv6(packet, bytes, length, message);
}

/*
 * Whether a packet came the way this farewell went: by its group from somebody else, or from a named peer. A member of
 * the group is never behind routers, a peer may be (RFC 9568 section 5.1.1.3); within UDP nothing is asked.
 */
static bool came_from_peers(const struct farewell *f, const struct packet *packet)
{
	if (f->protocol == VRRP_PROTOCOL && packet->hops < f->least_hops)
		return false;
	for (uint16_t i = 0; i < f->destination_count; i++) {
		const uint8_t *address = f->destinations[i].address;
		bool ours = memcmp(packet->destination, f->source, ADDRESS_LENGTH) == 0;
		if (is_multicast(f->family, address)) {
			if (memcmp(packet->destination, address, ADDRESS_LENGTH) == 0 &&
			    memcmp(packet->source, f->source, ADDRESS_LENGTH) != 0)
				return true;
		} else if (ours && memcmp(packet->source, address, ADDRESS_LENGTH) == 0) {
			return true;
		}
	}
	return false;
}

/* Without its UDP header. */
static struct message vrrp_of(const struct farewell *f, const uint8_t *bytes, size_t length)
{
	size_t header = f->protocol == IPPROTO_UDP ? UDP_HEADER : 0;

	return length < header ? (struct message){bytes, 0} : (struct message){bytes + header, length - header};
}

/* Whether a packet is a master's, as the election would judge: priority 0 leaves, too. */
bool is_successor(const struct farewell *f, const struct packet *packet)
{
	const uint8_t *body = packet->body;
	struct message heard = vrrp_of(f, body, packet->length), own;
	struct envelope envelope = {
		.ipv6 = f->family == IPV6, .source = packet->source, .destination = packet->destination};

	if (heard.length < 3 || heard.bytes[1] != f->virtual_router || heard.bytes[2] == 0)
		return false;
	if (f->protocol == IPPROTO_UDP &&
	    (body[UDP_DESTINATION_PORT] << 8 | body[UDP_DESTINATION_PORT + 1]) != f->port)
		return false;
	if (!came_from_peers(f, packet)) /* nor is it where there are no peers */
		return false;
	own = vrrp_of(f, f->destinations[0].payload, f->destinations[0].length);
	return speaks_for_same_router(own, heard, envelope);
}
