#include "advertisement.h"

#include <string.h>

enum {
	HEADER = 8,
	VERSION_2_AUTHENTICATION = 8,
	VERSION_2 = 0x21, /* with type ADVERTISEMENT */
	VERSION_3 = 0x31,
	PROTOCOL = 112,
	/* Places in the message */
	AT_VRID = 1,
	AT_COUNT = 3,
	AT_INTERVAL = 4,
};

static size_t address_length(bool ipv6)
{
	return ipv6 ? 16 : 4;
}

/* How long the message says it is; 0 when it is shorter, or of no version and type known. */
static size_t length_of(struct message message, bool ipv6)
{
	size_t length;

	if (message.length < HEADER ||
	    (message.bytes[0] != VERSION_3 && (message.bytes[0] != VERSION_2 || ipv6)))
		return 0;
	length = HEADER + message.bytes[AT_COUNT] * address_length(ipv6) +
		 (message.bytes[0] == VERSION_2 ? VERSION_2_AUTHENTICATION : 0);
	return message.length < length ? 0 : length;
}

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static bool is_right(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Under IPv4 version 3 is found with the pseudo-header (RFC 5798) and without it (RFC 9568). */
static bool checksum_is_right(const uint8_t *bytes, size_t length, struct envelope envelope)
{
	uint32_t sum = add_words(0, bytes, length);

	if (!envelope.ipv6 && is_right(sum))
		return true;
	if (bytes[0] == VERSION_2)
		return false;
	sum = add_words(sum, envelope.source, address_length(envelope.ipv6));
	sum = add_words(sum, envelope.destination, address_length(envelope.ipv6));
	return is_right(sum + (uint32_t)length + PROTOCOL);
}

static bool shares_an_address(const uint8_t *own, const uint8_t *heard, bool ipv6)
{
	size_t length = address_length(ipv6);

	for (size_t i = 0; i < own[AT_COUNT]; i++)
		for (size_t j = 0; j < heard[AT_COUNT]; j++)
			if (memcmp(own + HEADER + i * length, heard + HEADER + j * length, length) == 0)
				return true;
	return own[AT_COUNT] == 0 && heard[AT_COUNT] == 0;
}

static bool has_sound_interval(const uint8_t *own, const uint8_t *heard)
{
	const uint8_t *interval = heard + AT_INTERVAL;

	if (heard[0] == VERSION_2) /* no authentication, and the same interval on all routers (RFC 3768 section 7.1) */
		return interval[0] == 0 && interval[1] != 0 && interval[1] == own[AT_INTERVAL + 1];
	return (interval[0] & 0x0f) != 0 || interval[1] != 0;
}

bool speaks_for_same_router(struct message own, struct message heard, struct envelope envelope)
{
	size_t length = length_of(heard, envelope.ipv6);

	return length != 0 && length_of(own, envelope.ipv6) != 0 && heard.bytes[0] == own.bytes[0] &&
	       heard.bytes[AT_VRID] == own.bytes[AT_VRID] &&
	       (heard.bytes[AT_COUNT] != 0 || heard.bytes[0] == VERSION_2) &&
	       has_sound_interval(own.bytes, heard.bytes) && shares_an_address(own.bytes, heard.bytes, envelope.ipv6) &&
	       checksum_is_right(heard.bytes, length, envelope);
}
