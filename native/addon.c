/*
 * What Node.js cannot do itself, and the netlink and VRRP layers need: sockets that node:dgram does not open, a timer
 * finer than a millisecond, interfaces, priorities. No protocol lives here. This file has the table of functions and what
 * all of them share.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <stdio.h>
#include <string.h>

extern char *uv_err_name_r(int error, char *buffer, size_t length); /* libuv's stable ABI */

static napi_value make_error(napi_env env, int error, const char *syscall_name)
{
	char code[64], words[128], text[256];
	napi_value message, code_value, errno_value, syscall_value, result;

	uv_err_name_r(-error, code, sizeof(code));
	snprintf(text, sizeof(text), "%s: %s (%s)", syscall_name, strerror_r(error, words, sizeof(words)), code);
	TRY(napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message));
	TRY(napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_value));
	TRY(napi_create_string_utf8(env, syscall_name, NAPI_AUTO_LENGTH, &syscall_value));
	TRY(napi_create_int32(env, error, &errno_value));
	TRY(napi_create_error(env, code_value, message, &result));
	TRY(napi_set_named_property(env, result, "errno", errno_value));
	TRY(napi_set_named_property(env, result, "syscall", syscall_value));
	return result;
}

napi_value addon_throw(napi_env env, int error, const char *syscall_name)
{
	napi_value value = make_error(env, error, syscall_name);
	if (value != NULL)
		napi_throw(env, value);
	return NULL;
}

napi_value addon_throw_type(napi_env env, const char *message)
{
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
	return NULL;
}

/* Reads the arguments; those not given are undefined. */
bool addon_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv)
{
	size_t argc = wanted;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
		return false;
	if (argc < wanted) {
		addon_throw_type(env, "too few arguments");
		return false;
	}
	return true;
}

bool addon_int(napi_env env, napi_value value, int32_t *result)
{
	if (napi_get_value_int32(env, value, result) == napi_ok)
		return true;
	addon_throw_type(env, "a number is expected");
	return false;
}

/* Bytes of a Uint8Array (or Buffer); valid until the call returns to JavaScript. */
bool addon_bytes(napi_env env, napi_value value, void **data, size_t *length)
{
	napi_typedarray_type type;
	napi_value buffer;
	size_t offset;
	bool is_typed_array = false;

	napi_is_typedarray(env, value, &is_typed_array);
	if (is_typed_array &&
	    napi_get_typedarray_info(env, value, &type, length, data, &buffer, &offset) == napi_ok &&
	    type == napi_uint8_array)
		return true;
	addon_throw_type(env, "a Uint8Array is expected");
	return false;
}

bool addon_function(napi_env env, napi_value value)
{
	napi_valuetype type;
	if (napi_typeof(env, value, &type) == napi_ok && type == napi_function)
		return true;
	addon_throw_type(env, "a function is expected");
	return false;
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback function;
	} functions[] = {
		{"open", open_socket},
		{"openTimer", open_timer},
		{"setTimer", set_timer},
		{"close", close_handle},
		{"watch", watch_handle},
		{"keepAlive", keep_alive},
		{"bind", bind_socket},
		{"setOption", set_option},
		{"getOption", get_option},
		{"attachFilter", attach_filter},
		{"attachDivision", attach_division},
		{"send", send_batch},
		{"volley", fire_volley},
		{"receive", receive_batch},
		{"interfaceInfo", interface_info},
		{"interfaceAddresses", interface_addresses},
		{"setRealTime", set_real_time},
		{"realTimeLost", get_real_time_lost},
		{"lockMemory", lock_memory},
		{"releaseCode", release_code},
		{"lockDirectory", lock_directory},
		{"dieWithParent", die_with_parent},
		{"exitNow", exit_now},
		{"killIn", kill_in},
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		napi_value function;
		TRY(napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
			&function));
		TRY(napi_set_named_property(env, exports, functions[i].name, function));
	}
	return exports;
}
