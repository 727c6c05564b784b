/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames with messages to the relay, the same row in every run: good ones of every kind, by the
 * current secret, the previous or a wrong one, from few gateways and strange sources; and what two
 * mutations of headers, lengths and octets make of them.
 */
#ifndef AMT_TESTS_BPF_FUZZ_H
#define AMT_TESTS_BPF_FUZZ_H

#include "bpf/helper_shield.h"

void fuzz_frame(struct shield_frame *frame);

#endif
