/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many answers a source address may have, and how large in total: one decision, taken by the
 * shield and by amtd alike (R-121, R-174, RFC 7450 6.1). A Request's source may be forged, and a
 * Query is larger than a Request, so a relay that answered without bound would flood a third party.
 */
#ifndef AMT_LIMIT_H
#define AMT_LIMIT_H

#include <linux/types.h>

#define AMT_CREDIT_MAX 0x40000000 /* octets: what a source saves up, at most */

/* What the configuration allows a source. */
struct amt_limits {
	__u64 interval_ns;   /* one answer; 0: no limit of the rate */
	__u64 tolerance_ns;  /* the burst beyond the first answer */
	__u32 amplification; /* octets out for an octet in, IP headers counted; 0: no bound */
	__u32 reserved;
};

/* What is known of a source. The rate is a token bucket kept as one time: it is full when that has
 * passed, and each token taken pushes it ahead by the interval (the generic cell rate algorithm).
 */
struct amt_source {
	__u64 full_at_ns; /* CLOCK_MONOTONIC */
	__u32 credit;	  /* octets that it may still be sent */
	__u32 reserved;
};

enum amt_limit {
	AMT_LIMIT_NONE, /* answer; it is accounted for */
	AMT_LIMIT_RATE,
	AMT_LIMIT_AMPLIFICATION,
};

/* One message of `in` octets from the source, whose answer has `out`. proven: it has shown a valid
 * response MAC, so it gets what is sent to it, and only the rate counts. */
static inline enum amt_limit amt_limit(struct amt_source *source, const struct amt_limits *limits,
				       __u64 now, __u32 in, __u32 out, int proven)
{
	__u32 credit = source->credit + in * limits->amplification;

	if (credit > AMT_CREDIT_MAX)
		credit = AMT_CREDIT_MAX;
	source->credit = credit;
	if (source->full_at_ns < now)
		source->full_at_ns = now;
	if (limits->interval_ns && source->full_at_ns - now > limits->tolerance_ns)
		return AMT_LIMIT_RATE;
	if (limits->amplification && !proven && out > credit)
		return AMT_LIMIT_AMPLIFICATION;
	source->full_at_ns += limits->interval_ns;
	source->credit = out > credit ? 0 : credit - out;
	return AMT_LIMIT_NONE;
}

#endif
