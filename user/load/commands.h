/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of amt-load. Each reads its own options and returns the exit status. */
#ifndef AMT_LOAD_COMMANDS_H
#define AMT_LOAD_COMMANDS_H

int command_gateways(int argc, char **argv);
int command_send(int argc, char **argv);
int command_receive(int argc, char **argv);

#endif
