/* Life of a handle: libuv's poll, the call back, and the end in whichever order that comes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The few libuv symbols needed, all part of its stable 1.x ABI and exported by the node executable.
 * Declared here because the package of Node-API headers does not carry uv.h.
 */
typedef struct uv_loop_s uv_loop_t;
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
enum { UV_POLL = 8, UV_READABLE = 1 }; /* uv_handle_type, uv_poll_event */

static const napi_type_tag HANDLE_TAG = {0x6c76732d64697265ULL, 0x63746f722d736f63ULL};

struct handle *handle_get(napi_env env, napi_value value, bool must_be_open)
{
	struct handle *handle = NULL;
	bool tagged = false;

	if (napi_check_object_type_tag(env, value, &HANDLE_TAG, &tagged) != napi_ok || !tagged ||
	    napi_get_value_external(env, value, (void **)&handle) != napi_ok) {
		addon_throw_type(env, "a socket handle is expected");
		return NULL;
	}
	if (must_be_open && handle->fd < 0) {
		addon_throw(env, EBADF, "socket");
		return NULL;
	}
	return handle;
}

int addon_descriptor(napi_env env, napi_value value)
{
	struct handle *handle = handle_get(env, value, true);
	return handle == NULL ? -1 : handle->fd;
}

static void free_if_done(struct handle *handle)
{
	if (handle->finalized && handle->poll == NULL)
		free(handle);
}

static void on_poll_closed(uv_handle_t *poll)
{
	struct handle *handle = uv_handle_get_data(poll);

	handle->poll = NULL;
	free(poll);
	if (handle->hook != NULL) {
		napi_remove_async_cleanup_hook(handle->hook);
		handle->hook = NULL;
	}
	free_if_done(handle);
}

static void handle_close(struct handle *handle)
{
	if (handle->fd < 0)
		return;
	uv_poll_stop(handle->poll);
	uv_close(handle->poll, on_poll_closed);
	close(handle->fd);
	handle->fd = -1;
	if (handle->callback != NULL)
		napi_delete_reference(handle->env, handle->callback);
	handle->callback = NULL;
	if (handle->async != NULL)
		napi_async_destroy(handle->env, handle->async);
	handle->async = NULL;
}

static void on_env_cleanup(napi_async_cleanup_hook_handle hook, void *arg)
{
	struct handle *handle = arg;
	(void)hook; /* on_poll_closed removes it, which tells Node that the clean-up is over */
	handle_close(handle);
}

static void on_finalize(napi_env env, void *data, void *hint)
{
	struct handle *handle = data;
	(void)env;
	(void)hint;
	handle->finalized = true;
	handle_close(handle);
	free_if_done(handle);
}

static void on_poll(uv_handle_t *poll, int status, int events)
{
	struct handle *handle = uv_handle_get_data(poll);
	napi_env env = handle->env;
	napi_handle_scope scope;
	napi_value callback, receiver, result, error;
	(void)events;

	if (napi_open_handle_scope(env, &scope) != napi_ok)
		return;
	if (status < 0) {
		/* libuv stops the handle on POLLERR, as when the link goes down (ENETDOWN). The pending error
		 * comes out of the next recvmsg(2), so reading goes on. */
		uv_poll_start(poll, UV_READABLE, on_poll);
	}
	if (napi_get_reference_value(env, handle->callback, &callback) == napi_ok && callback != NULL &&
	    napi_get_global(env, &receiver) == napi_ok &&
	    napi_make_callback(env, handle->async, receiver, callback, 0, NULL, &result) == napi_pending_exception &&
	    napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
	napi_close_handle_scope(env, scope);
}

/* Gives up a socket whose construction failed half-way; `error` is what to throw. */
static napi_value abandon(napi_env env, struct handle *handle, int error, const char *what)
{
	if (handle->fd >= 0)
		close(handle->fd);
	free(handle->poll);
	free(handle);
	return addon_throw(env, error, what);
}

/* The handle of a descriptor that `fd` tells, negative for the errno of `what`; it is closed when this fails. */
napi_value handle_wrap(napi_env env, int fd, const char *what, napi_value callback)
{
	napi_value name, result;
	uv_loop_t *loop;
	struct handle *handle;
	int status;

	if (fd < 0)
		return addon_throw(env, -fd, what);
	if (napi_get_uv_event_loop(env, &loop) != napi_ok || (handle = calloc(1, sizeof(*handle))) == NULL) {
		close(fd);
		return addon_throw(env, ENOMEM, "calloc");
	}
	handle->env = env;
	handle->fd = fd;
	handle->poll = calloc(1, uv_handle_size(UV_POLL));
	if (handle->poll == NULL)
		return abandon(env, handle, ENOMEM, "calloc");
	handle->empty_at_ms = clock_ms(CLOCK_MONOTONIC);
	status = uv_poll_init(loop, handle->poll, handle->fd);
	if (status < 0)
		return abandon(env, handle, -status, "uv_poll_init");
	uv_handle_set_data(handle->poll, handle);

	if (napi_create_external(env, handle, on_finalize, NULL, &result) != napi_ok) {
		handle->finalized = true;
		handle_close(handle);
		return NULL;
	}
	/* From here on the external owns the descriptor: a failure leaves it to the garbage collector. */
	TRY(napi_type_tag_object(env, result, &HANDLE_TAG));
	TRY(napi_create_string_utf8(env, "lvs-director:socket", NAPI_AUTO_LENGTH, &name));
	TRY(napi_async_init(env, NULL, name, &handle->async));
	TRY(napi_create_reference(env, callback, 1, &handle->callback));
	TRY(napi_add_async_cleanup_hook(env, on_env_cleanup, handle, &handle->hook));
	return result;
}

/* close(handle): a second time does nothing */
napi_value close_handle(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;

	if (!addon_arguments(env, info, 1, argv) || (handle = handle_get(env, argv[0], false)) == NULL)
		return NULL;
	handle_close(handle);
	return NULL;
}

/* watch(handle, on): calls onReadable while something lies in the receive queue */
napi_value watch_handle(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;
	bool on;
	int status;

	if (!addon_arguments(env, info, 2, argv) || (handle = handle_get(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_bool(env, argv[1], &on));
	status = on ? uv_poll_start(handle->poll, UV_READABLE, on_poll) : uv_poll_stop(handle->poll);
	return status < 0 ? addon_throw(env, -status, "uv_poll_start") : NULL;
}

/* keepAlive(handle, on): whether the socket keeps the event loop running */
napi_value keep_alive(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS];
	struct handle *handle;
	bool on;

	if (!addon_arguments(env, info, 2, argv) || (handle = handle_get(env, argv[0], true)) == NULL)
		return NULL;
	TRY(napi_get_value_bool(env, argv[1], &on));
	if (on)
		uv_ref(handle->poll);
	else
		uv_unref(handle->poll);
	return NULL;
}
