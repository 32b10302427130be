/*
 * The guardian's own code over sequences of orders and packets, without sockets: says when it would let go of what.
 *
 * On stdin, integers little-endian, sequence after sequence:
 *   u32 length of the orders, the orders as orders.c reads them
 *   for each farewell: u8 whether it could be sent
 *   u32 number of packets, then each: u32 when (milliseconds after the guardian acts, never falling),
 *     u8 number of the interface (ethN), u8 TTL, 4 bytes source, 4 bytes destination, u16 length, VRRP message
 * On stdout a line for each: the numbers of the farewells with their times, such as `0@150 1@1250`, in that order.
 */
#include "../../native/withdrawal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(void *to, size_t length)
{
	if (length > 0 && fread(to, length, 1, stdin) != 1) {
		fprintf(stderr, "the sequence ends early\n");
		exit(EXIT_FAILURE);
	}
}

static uint32_t number(size_t bytes)
{
	uint8_t raw[4] = {0};
	need(raw, bytes);
	return read32(raw);
}

static void let_go_until(struct orders *orders, uint64_t limit, const char **between)
{
	uint64_t due;
	struct farewell *f;

	while ((due = next_due(orders)) <= limit && due != UINT64_MAX)
		while ((f = next_to_let_go(orders, due)) != NULL) {
			printf("%s%d@%llu", *between, (int)(f - orders->farewells), (unsigned long long)due);
			*between = " ";
		}
}

static void hear_one(struct orders *orders, const char **between)
{
	static uint8_t body[MAX_PACKET];
	struct packet packet = {.hops = -1, .body = body};
	uint64_t at = number(4);
	int ear = (int)number(1);

	packet.hops = (int)number(1);
	need(packet.source, 4);
	need(packet.destination, 4);
	packet.length = number(2);
	if (packet.length > sizeof(body))
		exit(EXIT_FAILURE);
	need(body, packet.length);
	let_go_until(orders, at, between);
	note_packet(orders, ear, &packet, at);
}

int main(void)
{
	static struct orders orders;
	static uint8_t body[MAX_BODY];
	uint8_t raw[4];

	while (fread(raw, sizeof(raw), 1, stdin) == 1) {
		const char *between = "";
		uint32_t length = read32(raw), packets;

		if (length > sizeof(body))
			return EXIT_FAILURE;
		need(body, length);
		if (!parse_orders(&orders, body, length)) {
			fprintf(stderr, "orders are refused\n");
			return EXIT_FAILURE;
		}
		for (uint32_t i = 0; i < orders.farewell_count; i++) {
			orders.farewells[i].sent = number(1) != 0;
			orders.farewells[i].ear = atoi(orders.farewells[i].listen_name + strlen("eth"));
		}
		begin_withdrawal(&orders, 0);
		for (packets = number(4); packets > 0; packets--)
			hear_one(&orders, &between);
		let_go_until(&orders, UINT64_MAX - 1, &between);
		printf("\n");
	}
	return EXIT_SUCCESS;
}
