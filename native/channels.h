/* Raw sockets and group memberships, taken while there is time. */
#ifndef LVS_DIRECTOR_CHANNELS_H
#define LVS_DIRECTOR_CHANNELS_H
#include "orders.h"

enum { MAX_CHANNELS = 1024 }; /* one to hear and one macvlan to send from for each farewell */

/* One raw socket for an interface, a family and a protocol. */
struct channel {
	int fd; /* -1: free */
	int interface_index;
	uint8_t family, protocol;
	bool wanted;
	bool hears;  /* a successor may come this way */
	bool joined; /* a member of `group` */
	uint8_t group[ADDRESS_LENGTH];
};

extern struct channel channels[MAX_CHANNELS];
extern int channel_end; /* behind the last one ever used */

/*
 * Opens what the farewells of sound orders need, and closes what they do not. Where one cannot be opened the farewell
 * stays unsaid, which is told, and the addresses go all the same.
 */
void open_channels(struct orders *orders);

/* Lets packets in: from now on they are a successor's. What came before says nothing about one. */
void open_ears(void);

#endif
