/* What the files of the addon share. Each exception is left pending in the environment. */
#ifndef LVS_DIRECTOR_ADDON_H
#define LVS_DIRECTOR_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_ARGUMENTS = 4 };

/* Any failed Node-API call leaves an exception pending, or the environment is going away. */
#define TRY(call)                                                                                          \
	do {                                                                                               \
		if ((call) != napi_ok)                                                                     \
			return NULL;                                                                       \
	} while (0)

/* Reads the arguments; those not given are an exception. */
bool addon_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv);

bool addon_int(napi_env env, napi_value value, int32_t *result);

/* Bytes of a Uint8Array (or Buffer); valid until the call returns to JavaScript. */
bool addon_bytes(napi_env env, napi_value value, void **data, size_t *length);

bool addon_function(napi_env env, napi_value value);

/* The descriptor of a handle that open() gave; -1 with an exception when it is none, or closed. */
int addon_descriptor(napi_env env, napi_value handle);

/* Always NULL, to be returned. */
napi_value addon_throw(napi_env env, int error, const char *syscall_name);
napi_value addon_throw_type(napi_env env, const char *message);

/* handle.c: close(handle), watch(handle, on), keepAlive(handle, on) */
napi_value close_handle(napi_env env, napi_callback_info info);
napi_value watch_handle(napi_env env, napi_callback_info info);
napi_value keep_alive(napi_env env, napi_callback_info info);

/* socket.c: open(family, type, protocol, onReadable), bind, setOption, getOption, send, receive */
napi_value open_socket(napi_env env, napi_callback_info info);
napi_value bind_socket(napi_env env, napi_callback_info info);
napi_value set_option(napi_env env, napi_callback_info info);
napi_value get_option(napi_env env, napi_callback_info info);
napi_value send_batch(napi_env env, napi_callback_info info);
napi_value receive_batch(napi_env env, napi_callback_info info);

/* timer.c: openTimer(onDue), setTimer(handle, atMs) */
napi_value open_timer(napi_env env, napi_callback_info info);
napi_value set_timer(napi_env env, napi_callback_info info);

/* interfaces.c: interfaceInfo(name), interfaceAddresses() */
napi_value interface_info(napi_env env, napi_callback_info info);
napi_value interface_addresses(napi_env env, napi_callback_info info);

/* process.c: setRealTime(priority), realTimeLost(), lockDirectory(path), dieWithParent(), exitNow(status), killIn(ms) */
napi_value set_real_time(napi_env env, napi_callback_info info);
napi_value get_real_time_lost(napi_env env, napi_callback_info info);
napi_value lock_directory(napi_env env, napi_callback_info info);
napi_value die_with_parent(napi_env env, napi_callback_info info);
napi_value exit_now(napi_env env, napi_callback_info info);
napi_value kill_in(napi_env env, napi_callback_info info);

/* socket-filter.c: attachFilter(handle, program), attachDivision(handle, program) */
napi_value attach_filter(napi_env env, napi_callback_info info);
napi_value attach_division(napi_env env, napi_callback_info info);

/* memory.c: lockMemory(), releaseCode() */
napi_value lock_memory(napi_env env, napi_callback_info info);
napi_value release_code(napi_env env, napi_callback_info info);

/* volley.c: volley(handles, messages, sockaddrs) */
napi_value fire_volley(napi_env env, napi_callback_info info);

#endif
