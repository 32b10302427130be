/*
 * Orders as bytes, integers little-endian unless said otherwise:
 *   u32 holdMs, u32 leaseMs (0: none), u32 farewells, then each farewell:
 *     u8 virtual router, u8 family (4, 6), u8 IP protocol (112, or 17 for UDP), u8 destinations,
 *     u16 UDP port (0 with 112), u16 deletions,
 *     u8 length of the name of the interface where the successor is heard, u8 of the one to send from,
 *     u8 least TTL or hop limit of the successor's packets (raw ones alone), u8 zero,
 *     16 bytes source address (network order, an IPv4 address first), both names, then
 *       each destination: 16 bytes address, u16 length, IP payload (under UDP with its UDP header)
 *       each deletion:    u16 length, netlink message
 */
#include "orders.h"

#include <endian.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static uint16_t read16(const uint8_t *p)
{
	uint16_t value;
	memcpy(&value, p, sizeof(value));
	return le16toh(value);
}

uint32_t read32(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return le32toh(value);
}

/* What is still to be read of a body. */
struct reader {
	const uint8_t *at;
	size_t left;
};

/* The next `length` bytes, or NULL when there are not so many. */
static const uint8_t *take(struct reader *reader, size_t length)
{
	const uint8_t *bytes = reader->at;

	if (reader->left < length)
		return NULL;
	reader->at += length;
	reader->left -= length;
	return bytes;
}

static bool take_name(struct reader *reader, size_t length, char name[IFNAMSIZ])
{
	const uint8_t *bytes = take(reader, length);

	if (bytes == NULL || length == 0 || length >= IFNAMSIZ)
		return false;
	memset(name, 0, IFNAMSIZ);
	memcpy(name, bytes, length);
	return strlen(name) == length;
}

static bool take_destinations(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	farewell->destinations = &orders->destinations[orders->destination_count];
	for (uint16_t i = 0; i < farewell->destination_count; i++) {
		const uint8_t *head = take(reader, DESTINATION_HEADER);
		if (head == NULL || orders->destination_count == MAX_DESTINATIONS)
			return false;
		struct destination *destination = &orders->destinations[orders->destination_count++];
		destination->address = head;
		destination->length = read16(head + ADDRESS_LENGTH);
		destination->payload = take(reader, destination->length);
		if (destination->payload == NULL || destination->length == 0 || destination->length > MAX_PAYLOAD)
			return false;
	}
	return true;
}

static bool take_deletions(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	farewell->deletions = &orders->deletions[orders->deletion_count];
	for (uint16_t i = 0; i < farewell->deletion_count; i++) {
		const uint8_t *head = take(reader, 2);
		struct nlmsghdr header;
		if (head == NULL || orders->deletion_count == MAX_DELETIONS)
			return false;
		struct deletion *deletion = &orders->deletions[orders->deletion_count++];
		deletion->length = read16(head);
		deletion->message = take(reader, deletion->length);
		if (deletion->message == NULL || deletion->length < sizeof(header) ||
		    deletion->length > MAX_NETLINK_MESSAGE)
			return false;
		memcpy(&header, deletion->message, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > deletion->length)
			return false;
	}
	return true;
}

static bool take_farewell(struct reader *reader, struct orders *orders, struct farewell *farewell)
{
	const uint8_t *head = take(reader, FAREWELL_HEADER);

	if (head == NULL)
		return false;
	*farewell = (struct farewell){.virtual_router = head[0], .family = head[1], .protocol = head[2],
		.destination_count = head[3], .port = read16(head + 4), .deletion_count = read16(head + 6),
		.least_hops = head[10], .source = head + 12, .ear = -1, .mouth = -1};
	if (farewell->virtual_router == 0 || (farewell->family != IPV4 && farewell->family != IPV6) ||
	    (farewell->protocol != VRRP_PROTOCOL && farewell->protocol != IPPROTO_UDP) ||
	    (farewell->protocol == IPPROTO_UDP) != (farewell->port != 0) || head[11] != 0)
		return false;
	if (!take_name(reader, head[8], farewell->listen_name) || !take_name(reader, head[9], farewell->send_name) ||
	    !take_destinations(reader, orders, farewell) || !take_deletions(reader, orders, farewell))
		return false;
	return true;
}

bool parse_orders(struct orders *orders, const uint8_t *body, size_t length)
{
	struct reader reader = {.at = orders->bytes + ORDERS_HEADER, .left = length - ORDERS_HEADER};

	if (length < ORDERS_HEADER || length > MAX_BODY)
		return false;
#ifdef __SANITIZE_ADDRESS__ /* what lies behind the body is nobody's */
	ASAN_UNPOISON_MEMORY_REGION(orders->bytes, MAX_BODY);
	ASAN_POISON_MEMORY_REGION(orders->bytes + length, MAX_BODY - length);
#endif
	memcpy(orders->bytes, body, length);
	orders->hold_ms = read32(body);
	orders->lease_ms = read32(body + 4);
	orders->farewell_count = read32(body + 8);
	orders->destination_count = orders->deletion_count = 0;
	if (orders->hold_ms > MAX_HOLD_MS || orders->lease_ms > MAX_HOLD_MS || orders->farewell_count > MAX_FAREWELLS)
		return false;
	for (uint32_t i = 0; i < orders->farewell_count; i++)
		if (!take_farewell(&reader, orders, &orders->farewells[i]))
			return false;
	return reader.left == 0;
}

bool is_multicast(uint8_t family, const uint8_t *address)
{
	return family == IPV4 ? (address[0] & 0xf0) == 0xe0 : address[0] == 0xff;
}
