/* A descriptor that JavaScript holds and libuv watches: sockets and timers alike. */
#ifndef LVS_DIRECTOR_HANDLE_H
#define LVS_DIRECTOR_HANDLE_H
#include "addon.h"

#include <time.h>

typedef struct uv_handle_s uv_handle_t;

struct handle {
	int fd; /* -1 once closed */
	uv_handle_t *poll; /* NULL once libuv let go of it */
	napi_env env;
	napi_ref callback;
	napi_async_context async;
	napi_async_cleanup_hook_handle hook;
	bool finalized; /* the JavaScript handle is gone */
	double empty_at_ms; /* when the receive queue was last seen empty: nothing read later is older */
};

/* The handle of a descriptor that `fd` tells, negative for the errno of `what`; it is closed when this fails. */
napi_value handle_wrap(napi_env env, int fd, const char *what, napi_value callback);

/* NULL with an exception when `value` is none, or closed where it must be open. */
struct handle *handle_get(napi_env env, napi_value value, bool must_be_open);

static inline double clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

#endif
