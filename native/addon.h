/* What the files of the addon share. Each exception is left pending in the environment. */
#ifndef LVS_DIRECTOR_ADDON_H
#define LVS_DIRECTOR_ADDON_H
#define NAPI_VERSION 8
#include <node_api.h>

#include <stdbool.h>
#include <stddef.h>

/* Reads the arguments; those not given are an exception. */
bool addon_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv);

/* Bytes of a Uint8Array (or Buffer); valid until the call returns to JavaScript. */
bool addon_bytes(napi_env env, napi_value value, void **data, size_t *length);

/* The descriptor of a handle that open() gave; -1 with an exception when it is none, or closed. */
int addon_descriptor(napi_env env, napi_value handle);

/* Always NULL, to be returned. */
napi_value addon_throw(napi_env env, int error, const char *syscall_name);

/* socket-filter.c: attachFilter(handle, program) */
napi_value attach_filter(napi_env env, napi_callback_info info);

/* memory.c: lockMemory(), releaseCode() */
napi_value lock_memory(napi_env env, napi_callback_info info);
napi_value release_code(napi_env env, napi_callback_info info);

/* volley.c: volley(handles, messages, sockaddrs) */
napi_value fire_volley(napi_env env, napi_callback_info info);

#endif
