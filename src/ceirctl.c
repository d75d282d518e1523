/*
 * ceirctl.c - the program; all of it is in src/ctl, where tests can reach it.
 */
#include "ctl/ctl.h"

int main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
