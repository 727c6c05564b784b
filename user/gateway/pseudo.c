/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds or makes the pair, and brings it to what the options say; see pseudo.h. */
#include "gateway/pseudo.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "datapath/link_request.h"
#include "gateway/pseudo_link.h"
#include "gateway/pseudo_packet.h"
#include "proto/query.h"

#define MTU_MAX		 65535
#define QUEUES_MAX	 16 /* a redirect goes into the sending CPU's own queue: no need for more */
#define PLAIN_NAME	 10 /* of a pseudo-interface whose peer is "NAME-peer" */
#define ALIAS_LEN	 128
#define READS_MAX	 64 /* a wake-up */
#define DATAGRAM_ROOM	 65536
#define ADDRESSES_MAX	 32
#define WORKING_PAUSES	 50
#define WORKING_PAUSE_NS 2000000

struct pseudo {
	struct rtnl *rtnl;
	struct event *readable;
	int fd;
	void (*report)(void *arg, uint64_t now, const void *datagram, size_t len);
	void (*gone)(void *arg);
	void *arg;
	struct pseudo_info info;
	uint8_t datagram[DATAGRAM_ROOM];
};

/* What an instance calls its pair. */
struct names {
	const char *name;
	char peer[IFNAMSIZ];
	char alias[ALIAS_LEN], peer_alias[ALIAS_LEN];
	uint32_t hash;
};

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);

	/* "all" and "default" are no interfaces in /proc/sys/net */
	return len && len < IFNAMSIZ && !strpbrk(name, "/: \t\n") && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && strcmp(name, "all") != 0 && strcmp(name, "default") != 0;
}

static void alias_of(char alias[ALIAS_LEN], const char *instance)
{
	snprintf(alias, ALIAS_LEN, "amt-xdp gateway %.100s", instance);
}

static int name_all(const char *instance, const char *name, struct names *out, struct error *err)
{
	const char *c;

	if (!name_is_good(name))
		return error_set(err, -EINVAL,
				 "\"%s\" cannot be an interface's name: 1 to 15 characters without "
				 "/, : and spaces",
				 name);
	out->name = name;
	out->hash = 2166136261u; /* FNV-1a */
	for (c = name; *c; c++)
		out->hash = (out->hash ^ (unsigned char)*c) * 16777619u;
	if (strlen(name) <= PLAIN_NAME)
		snprintf(out->peer, sizeof(out->peer), "%.10s-peer", name);
	else
		snprintf(out->peer, sizeof(out->peer), "amtg-%08x", out->hash);
	alias_of(out->alias, instance);
	snprintf(out->peer_alias, sizeof(out->peer_alias), "%.120s peer", out->alias);
	return 0;
}

/* ---- the pair ---- */

/* 1: ours and whole, 0: nothing there, or negative errno with its text. */
static int find_pair(struct rtnl *rtnl, const struct names *names, struct pseudo_link *near,
		     struct pseudo_link *far, struct error *err)
{
	int ret = pseudo_link_get(rtnl, names->name, near);
	bool far_known;

	if (ret == -ENODEV) {
		ret = pseudo_link_get(rtnl, names->peer, far);
		if (ret == -ENODEV)
			return 0;
		return error_set(err, -EEXIST,
				 "interface %s is there without %s: remove it (ip link delete %s) "
				 "or, if %s was moved or renamed, undo that",
				 names->peer, names->name, names->peer, names->name);
	}
	if (ret)
		return error_set(err, ret, "cannot look for interface %s: %s", names->name,
				 strerror(-ret));
	far_known = near->peer && !pseudo_link_get_index(rtnl, near->peer, far);
	if (far_known && strcmp(near->alias, names->alias) == 0 &&
	    strcmp(far->alias, names->peer_alias) == 0)
		return 1;
	/* a start that ended before the aliases were written, or the last one */
	if (far_known && !near->up && !far->up && strcmp(far->name, names->peer) == 0 &&
	    (!near->alias[0] || strcmp(near->alias, names->alias) == 0) && !far->alias[0])
		return link_delete(near->ifindex) ? -EBUSY : 0;
	if (strcmp(near->alias, names->alias) == 0)
		return error_set(err, -EEXIST,
				 "interface %s has lost its other end %s: remove it (ip link "
				 "delete %s)",
				 names->name, names->peer, names->name);
	return error_set(err, -EEXIST,
			 "interface %s exists and is not of this instance: remove it (ip link "
			 "delete %s) or configure another name",
			 names->name, names->name);
}

static int make_pair(struct rtnl *rtnl, const struct names *names, uint32_t mtu,
		     struct pseudo_link *near, struct pseudo_link *far)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int ret = link_make_veth(names->name, names->peer, mtu,
				 cpus < 1	     ? 1
				 : cpus > QUEUES_MAX ? QUEUES_MAX
						     : (uint32_t)cpus);

	if (!ret)
		ret = pseudo_link_get(rtnl, names->name, near);
	if (!ret)
		ret = pseudo_link_get(rtnl, names->peer, far);
	if (!ret)
		ret = pseudo_link_alias(rtnl, near->ifindex, names->alias);
	if (!ret)
		ret = pseudo_link_alias(rtnl, far->ifindex, names->peer_alias);
	return ret;
}

/* ---- what it is to be ---- */

/* Nothing of its own leaves the peer, and nothing that reaches it is answered. A kernel without
 * IPv6 has no such files. */
static void silence_peer(struct rtnl *rtnl, const struct pseudo_link *far)
{
	(void)pseudo_link_no_autoconf(rtnl, far->ifindex);
	(void)pseudo_sysctl_set("ipv6", far->name, "disable_ipv6", "1");
}

/* MLD reports leave only once there is a link-local address, so it must be there at once. */
static void prepare_ipv6(const char *name)
{
	static const char *const settings[][2] = {
		{"accept_dad", "0"}, {"dad_transmits", "0"}, {"accept_ra", "0"},
		{"autoconf", "0"},   {"disable_ipv6", "0"},  {"addr_gen_mode", "0"},
	};
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		(void)pseudo_sysctl_set("ipv6", name, settings[i][0], settings[i][1]);
}

/* The routes to sources do not lead to amt0, so a strict reverse path check drops everything. The
 * larger one of `all` and the interface's own value counts: where `all` is strict, loose is the
 * best that can be had here. */
static void prepare_rp_filter(struct pseudo *pseudo)
{
	int all = 0;

	(void)pseudo_sysctl_get("ipv4", "all", "rp_filter", &all);
	if (pseudo_sysctl_set("ipv4", pseudo->info.name, "rp_filter", all ? "2" : "0"))
		snprintf(pseudo->info.warning, sizeof(pseudo->info.warning),
			 "net.ipv4.conf.%s.rp_filter cannot be set: streams may be dropped",
			 pseudo->info.name);
	else if (all)
		snprintf(pseudo->info.warning, sizeof(pseudo->info.warning),
			 "net.ipv4.conf.all.rp_filter is %d and counts for %s too: streams from "
			 "sources that no route leads to are dropped; set it to 0, and that of "
			 "other interfaces as you need",
			 all, pseudo->info.name);
}

static int set_addresses(struct pseudo *pseudo, const struct pseudo_options *options, uint32_t seed)
{
	struct amt_prefix list[ADDRESSES_MAX + 1];
	unsigned int i, n = options->naddresses;
	int ret;

	if (n > ADDRESSES_MAX)
		return -E2BIG;
	if (n)
		memcpy(list, options->addresses, n * sizeof(*list));
	for (i = 0; i < n && !addr_is_ipv4(&list[i].addr); i++)
		;
	if (i == n) {
		ret = pseudo_address_local(pseudo->rtnl, pseudo->info.ifindex, seed, &list[n++]);
		if (ret)
			return ret;
	}
	pseudo->info.ipv4 = list[i].addr;
	return pseudo_addresses_set(pseudo->rtnl, pseudo->info.ifindex, list, n);
}

static uint32_t mtu_within(uint32_t mtu)
{
	return mtu < PSEUDO_MTU_MIN ? PSEUDO_MTU_MIN : mtu > MTU_MAX ? MTU_MAX : mtu;
}

int pseudo_set_mtu(struct pseudo *pseudo, uint32_t mtu)
{
	uint32_t good = mtu_within(mtu);
	int ret = pseudo_link_mtu(pseudo->rtnl, pseudo->info.ifindex, good);

	if (!ret)
		ret = pseudo_link_mtu(pseudo->rtnl, pseudo->info.peer_ifindex, good);
	if (!ret)
		pseudo->info.mtu = good;
	return ret;
}

/* Until a workqueue of the kernel has run, what is sent by a link that was just set up is lost in
 * silence: the first query, or the first join's report. */
static void await_working(struct pseudo *pseudo)
{
	const struct timespec pause = {.tv_nsec = WORKING_PAUSE_NS};
	struct pseudo_link near = {0}, far = {0};
	unsigned int i;

	for (i = 0; i < WORKING_PAUSES && !(near.working && far.working); i++) {
		if (i)
			nanosleep(&pause, NULL);
		if (pseudo_link_get_index(pseudo->rtnl, pseudo->info.ifindex, &near) ||
		    pseudo_link_get_index(pseudo->rtnl, pseudo->info.peer_ifindex, &far))
			return;
	}
}

static int configure(struct pseudo *pseudo, const struct pseudo_options *options, uint32_t seed,
		     struct error *err)
{
	struct pseudo_info *info = &pseudo->info;
	int ret;

	prepare_ipv6(info->name);
	prepare_rp_filter(pseudo);
	ret = pseudo_link_gro(info->name);
	if (!ret)
		ret = pseudo_set_mtu(pseudo, options->mtu);
	if (!ret)
		ret = pseudo_link_up(pseudo->rtnl, info->peer_ifindex, false);
	if (!ret)
		ret = pseudo_link_up(pseudo->rtnl, info->ifindex, true);
	if (ret)
		return error_set(err, ret, "cannot set up interface %s: %s", info->name,
				 strerror(-ret));
	await_working(pseudo);
	ret = set_addresses(pseudo, options, seed);
	if (ret)
		return error_set(err, ret, "cannot give interface %s its addresses: %s", info->name,
				 strerror(-ret));
	ret = pseudo_routes_set(pseudo->rtnl, info->ifindex, options->route_metric);
	if (ret)
		return error_set(err, ret,
				 "cannot route multicast to %s with metric %u: %s; see ip route "
				 "show to match 224.0.0.0/4",
				 info->name, options->route_metric, strerror(-ret));
	return 0;
}

static int open_pair(struct pseudo *pseudo, const struct pseudo_options *options, struct error *err)
{
	struct pseudo_link near, far;
	struct names names;
	int ret = name_all(options->instance, options->name, &names, err);

	if (!ret)
		ret = find_pair(pseudo->rtnl, &names, &near, &far, err);
	if (ret < 0)
		return ret;
	pseudo->info.adopted = ret == 1;
	if (!pseudo->info.adopted) {
		ret = make_pair(pseudo->rtnl, &names, mtu_within(options->mtu), &near, &far);
		if (ret)
			return error_set(err, ret, "cannot make interface %s: %s", names.name,
					 strerror(-ret));
	}
	strcpy(pseudo->info.name, near.name);
	strcpy(pseudo->info.peer, far.name);
	pseudo->info.ifindex = near.ifindex;
	pseudo->info.peer_ifindex = far.ifindex;
	memcpy(pseudo->info.peer_mac, far.mac, sizeof(far.mac));
	silence_peer(pseudo->rtnl, &far);
	return configure(pseudo, options, names.hash, err);
}

/* ---- reports ---- */

static void check_gone(struct pseudo *pseudo)
{
	struct pseudo_link link;

	if (pseudo_link_get_index(pseudo->rtnl, pseudo->info.peer_ifindex, &link) != -ENODEV)
		return; /* only down; the kernel takes the socket up again with it */
	event_del(pseudo->readable);
	log_error("interface %s was removed", pseudo->info.name);
	if (pseudo->gone)
		pseudo->gone(pseudo->arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pseudo *pseudo = arg;
	uint64_t now = clock_now();
	unsigned int i;

	for (i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(fd, pseudo->datagram, sizeof(pseudo->datagram), MSG_TRUNC);

		if (len < 0 && errno == ENETDOWN) {
			check_gone(pseudo);
			return;
		}
		if (len < 0)
			return;
		if ((size_t)len <= sizeof(pseudo->datagram))
			pseudo->report(pseudo->arg, now, pseudo->datagram, (size_t)len);
	}
}

static int listen_to_peer(struct pseudo *pseudo, struct event_base *base, struct error *err)
{
	pseudo->fd = pseudo_packet_open(pseudo->info.peer_ifindex);
	if (pseudo->fd < 0)
		return error_set(err, pseudo->fd, "cannot open a packet socket on %s: %s",
				 pseudo->info.peer, strerror(-pseudo->fd));
	pseudo->readable = event_new(base, pseudo->fd, EV_READ | EV_PERSIST, on_readable, pseudo);
	if (!pseudo->readable || event_add(pseudo->readable, NULL))
		return error_set(err, -ENOMEM, "interface %s: no memory", pseudo->info.name);
	return 0;
}

int pseudo_query(struct pseudo *pseudo, bool mld, unsigned int robustness, unsigned int interval_s)
{
	/* the kernel takes MLD queries from link-local sources only (RFC 3810 5.1.14) */
	static const uint8_t link_local[16] = {0xfe, 0x80, [15] = 0x01};
	struct query_params params = {.robustness = robustness, .interval_s = interval_s};
	uint8_t buf[QUERY_MLD_LEN];
	int ret;

	if (mld)
		params.source = addr_from_ipv6(link_local);
	ret = query_write(mld, &params, buf, sizeof(buf));
	return ret < 0 ? ret : pseudo_inject(pseudo, buf, (size_t)ret);
}

int pseudo_inject(struct pseudo *pseudo, const void *datagram, size_t len)
{
	return pseudo_packet_send(pseudo->fd, pseudo->info.peer_ifindex, datagram, len);
}

/* ---- life ---- */

int pseudo_open(struct pseudo **out, const struct pseudo_options *options, struct event_base *base,
		struct error *err)
{
	struct pseudo *pseudo = calloc(1, sizeof(*pseudo));
	int ret;

	if (!pseudo)
		return error_set(err, -ENOMEM, "interface %s: no memory", options->name);
	pseudo->fd = -1;
	pseudo->report = options->report;
	pseudo->gone = options->gone;
	pseudo->arg = options->arg;
	ret = rtnl_open(&pseudo->rtnl);
	if (ret)
		error_set(err, ret, "cannot speak to rtnetlink: %s", strerror(-ret));
	else
		ret = open_pair(pseudo, options, err);
	if (!ret)
		ret = listen_to_peer(pseudo, base, err);
	if (!ret) {
		*out = pseudo;
		return 0;
	}
	/* nothing half made stays; what was found is the predecessor's */
	if (pseudo->info.ifindex && !pseudo->info.adopted)
		pseudo_remove(pseudo);
	else
		pseudo_close(pseudo);
	return ret;
}

void pseudo_close(struct pseudo *pseudo)
{
	if (!pseudo)
		return;
	if (pseudo->readable)
		event_free(pseudo->readable);
	if (pseudo->fd >= 0)
		close(pseudo->fd);
	rtnl_close(pseudo->rtnl);
	free(pseudo);
}

void pseudo_remove(struct pseudo *pseudo)
{
	int ret = link_delete(pseudo->info.ifindex);

	if (ret && ret != -ENODEV)
		log_error("interface %s cannot be removed: %s", pseudo->info.name, strerror(-ret));
	pseudo_close(pseudo);
}

int pseudo_remove_leftover(const char *instance, const char *name, struct error *err)
{
	struct pseudo_link near, far;
	struct names names;
	struct rtnl *rtnl;
	int ret = name_all(instance, name, &names, err);

	if (ret)
		return ret;
	ret = rtnl_open(&rtnl);
	if (ret)
		return error_set(err, ret, "cannot speak to rtnetlink: %s", strerror(-ret));
	ret = find_pair(rtnl, &names, &near, &far, err);
	rtnl_close(rtnl);
	if (ret == 1)
		ret = link_delete(near.ifindex);
	return ret;
}

void pseudo_remove_any(const char *instance)
{
	struct pseudo_link link = {0};
	char alias[ALIAS_LEN];
	struct rtnl *rtnl;
	int ret = rtnl_open(&rtnl);

	if (!ret) {
		alias_of(alias, instance);
		ret = pseudo_link_find(rtnl, alias, &link);
		rtnl_close(rtnl);
	}
	if (!ret)
		ret = link_delete(link.ifindex);
	if (!ret)
		log_info("%s is no gateway any more: interface %s is removed", instance, link.name);
	else if (ret != -ENODEV)
		log_warning("%s is no gateway any more, but its pseudo-interface could not be "
			    "removed (%s); see: ip link",
			    instance, strerror(-ret));
}

void pseudo_info(const struct pseudo *pseudo, struct pseudo_info *out)
{
	*out = pseudo->info;
}
