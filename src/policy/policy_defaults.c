/*
 * policy_defaults.c - the policy a new register begins with.
 */
#include "policy/policy.h"

void policy_defaults(struct policy_params *out)
{
	*out = (struct policy_params){
		.grace_days = 90,
		.notice_days = {75, 50, 25, 1},
		.lookback_days = 180,
		.gap_days = 30,
		.roamer_days = 90,
		.guard_share = 100,
		.gate_empty = 50,
		.gate_unclean = 50,
		.gate_foreign = 100,
		.gate_size = 750,
		.gate_zeros = 10,
		.home_mcc = "255",
		.country_code = "380",
	};
}

#define TEXT(literal)                                                                                                              \
	{                                                                                                                          \
		(literal), sizeof(literal) - 1                                                                                     \
	}

/*
 * What blocks by default is what holds for the device itself. A SIM box is a matter for the fraud desk; the radio
 * technologies of a model are only as good as the table; a SIM that went through ten phones in a month may be a repair
 * shop's, and its customers' phones are innocent: these inform. No condition is sticky: a clone that is white again after its
 * copies were blocked, and comes back within its days of grace, is blocked at once (policy_classify), and what was matched in
 * error is set right by correcting the tables.
 */
const struct policy_condition_text POLICY_DEFAULT_CONDITIONS[] = {
	{TEXT("malformed"), TEXT("malformed"), 90, true, false},
	{TEXT("tac-unknown"), TEXT("tac-unknown-rbi(01=40 35=20 86=19 91=20 99=69 other=0)"), 90, true, false},
	{TEXT("not-registered"), TEXT("not-registered and not roamer"), 90, true, false},
	{TEXT("test-tac"), TEXT("test-tac and not-registered"), 90, true, false},
	{TEXT("clone"), TEXT("clone-threshold(imsis=5 days=30) or clone-daily(mean=3.0 days=30 min-days=5)"), 30, true, false},
	{TEXT("sim-box"), TEXT("sim-box(imsis=20 days=30 row=10)"), 0, false, false},
	{TEXT("rat-impossible"), TEXT("rat-impossible"), 0, false, false},
	{TEXT("rotation"), TEXT("rotation(imeis=10 days=30)"), 0, false, false},
	{TEXT("sim-swap"), TEXT("sim-swap(hours=48 days=30)"), 0, false, false},
	{{NULL, 0}, {NULL, 0}, 0, false, false},
};
