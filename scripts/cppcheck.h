/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For cppcheck only: the loop and declaration macros of libraries whose headers it does not read,
 * in a form that it can follow.
 */
#define HASH_ITER(hh, head, el, tmp)	     for (el = head, tmp = NULL; el; el = tmp)
#define DL_FOREACH(head, el)		     for (el = head; el; el = el->next)
#define DL_FOREACH_SAFE(head, el, tmp)	     for (el = head, tmp = NULL; el; el = tmp)
#define LL_FOREACH(head, el)		     for (el = head; el; el = el->next)
#define json_array_foreach(array, i, value)  for (i = 0; (value = json_array_get(array, i)); i++)
#define json_object_foreach(object, k, v)    for (k = first(object); (v = json_value(k)); k = next(k))
#define bpf_object__for_each_program(p, obj) for (p = first(obj); p; p = next(obj, p))
#define bpf_object__for_each_map(m, obj)     for (m = first(obj); m; m = next(obj, m))
#define LIBBPF_OPTS(type, name, ...)	     struct type name = {0}
#define DECLARE_LIBXDP_OPTS(type, name, ...) struct type name = {0}
#define mnl_attr_for_each(attr, nlh, offset) \
	for (attr = first(nlh, offset); attr; attr = next(attr))
#define mnl_attr_for_each_nested(attr, nest) for (attr = first(nest, 0); attr; attr = next(attr))
