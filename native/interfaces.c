/* What the kernel says of network interfaces and their addresses. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "addon.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool get_interface_name(napi_env env, napi_value value, char name[IFNAMSIZ])
{
	size_t length;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
		addon_throw_type(env, "an interface name is expected");
		return false;
	}
	if (length == 0 || length >= IFNAMSIZ) {
		addon_throw(env, ENODEV, "if_nametoindex");
		return false;
	}
	return napi_get_value_string_utf8(env, value, name, IFNAMSIZ, &length) == napi_ok;
}

/* interfaceInfo(name) -> { index, flags, hardwareType, hardwareAddress } (netdevice(7)) */
napi_value interface_info(napi_env env, napi_callback_info info)
{
	napi_value argv[MAX_ARGUMENTS], result, value;
	char name[IFNAMSIZ];
	struct ifreq request = {0};
	int fd, index, flags = 0, error = 0;
	const char *what = "SIOCGIFINDEX";

	if (!addon_arguments(env, info, 1, argv) || !get_interface_name(env, argv[0], name))
		return NULL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return addon_throw(env, errno, "socket");
	memcpy(request.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		error = errno;
	index = request.ifr_ifindex;
	if (error == 0 && ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
		error = errno;
		what = "SIOCGIFFLAGS";
	}
	flags = (unsigned short)request.ifr_flags;
	if (error == 0 && ioctl(fd, SIOCGIFHWADDR, &request) < 0) {
		error = errno;
		what = "SIOCGIFHWADDR";
	}
	close(fd);
	if (error != 0)
		return addon_throw(env, error, what);
	TRY(napi_create_object(env, &result));
	TRY(napi_create_int32(env, index, &value));
	TRY(napi_set_named_property(env, result, "index", value));
	TRY(napi_create_int32(env, flags, &value));
	TRY(napi_set_named_property(env, result, "flags", value));
	TRY(napi_create_int32(env, request.ifr_hwaddr.sa_family, &value));
	TRY(napi_set_named_property(env, result, "hardwareType", value));
	/* Six bytes: the longest this ioctl is defined for, and what Ethernet has. */
	TRY(napi_create_buffer_copy(env, 6, request.ifr_hwaddr.sa_data, NULL, &value));
	TRY(napi_set_named_property(env, result, "hardwareAddress", value));
	return result;
}

/*
 * interfaceAddresses() -> [{ name, family, address }] in the kernel's order, which has the primary
 * addresses of an interface before its secondary ones. Other than os.networkInterfaces() it also has
 * interfaces that are down.
 */
napi_value interface_addresses(napi_env env, napi_callback_info info)
{
	napi_value result, object, value;
	struct ifaddrs *list;
	uint32_t count = 0;
	bool ok = true;
	(void)info;

	TRY(napi_create_array(env, &result));
	if (getifaddrs(&list) < 0)
		return addon_throw(env, errno, "getifaddrs");
	for (struct ifaddrs *i = list; i != NULL && ok; i = i->ifa_next) {
		const void *bytes;
		size_t length;

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			bytes = &((struct sockaddr_in *)i->ifa_addr)->sin_addr;
			length = 4;
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			bytes = &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
			length = 16;
		} else {
			continue;
		}
		ok = napi_create_object(env, &object) == napi_ok &&
		     napi_create_string_utf8(env, i->ifa_name, NAPI_AUTO_LENGTH, &value) == napi_ok &&
		     napi_set_named_property(env, object, "name", value) == napi_ok &&
		     napi_create_int32(env, i->ifa_addr->sa_family, &value) == napi_ok &&
		     napi_set_named_property(env, object, "family", value) == napi_ok &&
		     napi_create_buffer_copy(env, length, bytes, NULL, &value) == napi_ok &&
		     napi_set_named_property(env, object, "address", value) == napi_ok &&
		     napi_set_element(env, result, count++, object) == napi_ok;
	}
	freeifaddrs(list);
	return ok ? result : NULL;
}
