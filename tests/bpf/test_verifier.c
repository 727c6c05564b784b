// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's verifier has to do for our programs. amtd's start waits for it, and a program
 * near the verifier's limit of a million instructions is refused by the next kernel that looks at
 * one state more. And that none of them is loaded as xdp.frags.
 */
#include "bpf/helper_path.h"

#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define VERIFIED_MOST 60000

static void check_one(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length), 0);
	print_message("%s: %u instructions verified\n", bpf_program__name(program),
		      info.verified_insns);
	assert_in_range(info.verified_insns, 1, VERIFIED_MOST);
	/* the broadcast of a frame of several buffers corrupts memory (bpf/fanout.h) */
	assert_null(strstr(bpf_program__section_name(program), "frags"));
	assert_false(bpf_program__flags(program) & BPF_F_XDP_HAS_FRAGS);
}

static void check(const struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) check_one(program);
}

static void test_verified_instructions(void **state)
{
	static struct path path;

	path_open(&path);
	check(path.xdp->obj);
	check(path.tc->obj);
	path_close(&path);
}

/* amt_ingress in every combination of roles, as amtd loads it. */
static void test_every_role(void **state)
{
	static const uint32_t role[] = {AMT_INTERFACE_UPSTREAM, AMT_INTERFACE_UPLINK,
					AMT_INTERFACE_GATEWAY};

	for (unsigned int set = 1; set < 8; set++) {
		struct amt_xdp *xdp = amt_xdp__open();
		struct bpf_program *program;

		assert_non_null(xdp);
		for (unsigned int i = 0; i < 3; i++)
			xdp->rodata->interface_flags |= set & 1 << i ? role[i] : 0;
		bpf_object__for_each_program(program, xdp->obj)
			bpf_program__set_autoload(program, program == xdp->progs.amt_ingress);
		print_message("roles 0x%02x: ", xdp->rodata->interface_flags);
		assert_int_equal(amt_xdp__load(xdp), 0);
		check_one(xdp->progs.amt_ingress);
		amt_xdp__destroy(xdp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verified_instructions),
		cmocka_unit_test(test_every_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
