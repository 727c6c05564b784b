/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a restart, pinned beside the packet path's maps; and how the relays named by a file
 * or an attach become the engine's candidates.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "gateway/service_state.h"

_Static_assert(sizeof(struct service_record) <= AMT_GATEWAY_STATE_MAX,
	       "amt/maps.h: AMT_GATEWAY_STATE_MAX");

bool gateway_service_left(const char *instance)
{
	struct service_record record;

	return !datapath_gateway_state_peek(instance, &record, sizeof(record)) &&
	       record.magic == SERVICE_RECORD_MAGIC && record.runtime;
}

void gateway_service_sweep(const char *instance, struct datapath *dp)
{
	static const struct service_record none;

	pseudo_remove_any(instance);
	datapath_decap_clear(dp);
	datapath_gateway_state_set(dp, &none, sizeof(none));
}

void service_record_load(struct gateway_service *service)
{
	struct service_record *record = &service->record;

	if (datapath_gateway_state_get(service->datapath, record, sizeof(*record)) ||
	    record->magic != SERVICE_RECORD_MAGIC)
		memset(record, 0, sizeof(*record));
	record->interface[sizeof(record->interface) - 1] = '\0';
	memset(record->relays + sizeof(record->relays) - 2, 0, 2);
	service->pinned = *record;
}

void service_record_save(struct gateway_service *service)
{
	struct service_record *record = &service->record;
	int rc;

	if (memcmp(record, &service->pinned, sizeof(*record)) == 0)
		return;
	rc = datapath_gateway_state_set(service->datapath, record, sizeof(*record));
	if (rc)
		log_warning("the gateway's state is not pinned (%s): a restart would lose it",
			    strerror(-rc));
	service->pinned = *record;
}

void service_record_clear(struct gateway_service *service)
{
	memset(&service->record, 0, sizeof(service->record));
	service_record_save(service);
}

int service_record_set_relays(struct gateway_service *service, const char *const *relays,
			      unsigned int nrelays)
{
	char *at = service->record.relays;
	size_t left = sizeof(service->record.relays) - 2, length;
	unsigned int i;

	memset(at, 0, sizeof(service->record.relays));
	for (i = 0; i < nrelays; i++) {
		length = strlen(relays[i]) + 1;
		if (length > left) {
			memset(service->record.relays, 0, sizeof(service->record.relays));
			return -E2BIG;
		}
		memcpy(at, relays[i], length);
		at += length;
		left -= length;
	}
	return 0;
}

/* ---- candidates ---- */

static int candidates_add(struct gateway_service *service, const char *text)
{
	unsigned int n = service->ncandidates;
	struct gateway_candidate *grown;

	grown = reallocarray(service->candidates, n + GATEWAY_CANDIDATES_OF_ONE, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	service->candidates = grown;
	service->ncandidates += gateway_candidates_of(text, grown + n);
	return 0;
}

int service_candidates(struct gateway_service *service)
{
	const struct config_names *configured = &service->config->relay;
	const char *at = service->record.relays;
	unsigned int i;
	int rc = 0;

	service->ncandidates = 0;
	for (; *at && !rc; at += strlen(at) + 1)
		rc = candidates_add(service, at);
	for (i = 0; i < configured->n && !rc && !service->record.relays[0]; i++)
		rc = candidates_add(service, configured->list[i]);
	if (!rc && !service->ncandidates)
		rc = candidates_add(service, "anycast");
	return rc;
}

void service_engine_options(const struct gateway_service *service, struct gateway_options *options)
{
	const struct config_gateway *config = service->config;

	*options = (struct gateway_options){
		.discovery_initial = config->discovery_timeout,
		.discovery_max = config->discovery_timeout_max,
		.discovery_retries = config->discovery_retries,
		.request_initial = config->request_timeout,
		.request_max = config->request_timeout_max,
		.request_retries = config->request_retries,
		.unreachable_retries = config->unreachable_retries,
		.keepalive = config->keepalive,
		.hold_down = config->hold_down,
		.hold_down_limit = config->hold_down_limit,
		.data_timeout = config->data_timeout,
		.teardown_repeats = config->teardown_repeats,
		.port = config->port,
		.ecn = config->ecn,
		.ipv4_groups = config->ipv4_groups,
		.ipv6_groups = config->ipv6_groups,
		.candidates = service->candidates,
		.ncandidates = service->ncandidates,
	};
}
