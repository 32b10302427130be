/* A timer for the clock of the election (timerfd_create(2)). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "handle.h"

#include <errno.h>
#include <sys/timerfd.h>

/*
 * openTimer(onDue) -> handle, for close(), watch(), keepAlive() and setTimer(). timerfd_create(2): libuv's own
 * timers count in whole milliseconds.
 */
napi_value open_timer(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	int fd;

	if (!addon_arguments(env, info, 1, argv) || !addon_function(env, argv[0]))
		return NULL;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return handle_wrap(env, fd < 0 ? -errno : fd, "timerfd_create", argv[0]);
}

/* setTimer(handle, atMs): CLOCK_MONOTONIC; 0 stops it. What was due before is forgotten. */
napi_value set_timer(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct itimerspec spec = {0};
	struct handle *handle;
	double at_ms;

	if (!addon_arguments(env, info, 2, argv) || (handle = handle_get(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_double(env, argv[1], &at_ms));
	if (!(at_ms >= 0 && at_ms < 9e15))
		return addon_throw(env, EINVAL, "timerfd_settime");
	spec.it_value.tv_sec = (time_t)(at_ms / 1e3);
	spec.it_value.tv_nsec = (long)((at_ms - (double)spec.it_value.tv_sec * 1e3) * 1e6);
	if (timerfd_settime(handle->fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return addon_throw(env, errno, "timerfd_settime");
	return NULL;
}
