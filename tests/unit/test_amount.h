/*
 * test_amount.h - how much of its work a test does. Under a sanitizer each step takes ten times as long, and more where coverage is counted
 * too: there a test does less of the same. An amount that has to be large for something to happen at all stays as it is.
 */
#ifndef CEIR_TEST_AMOUNT_H
#define CEIR_TEST_AMOUNT_H

#include "base/base.h"

#define TEST_AMOUNT(whole, sanitized) (CEIR_SANITIZED ? (sanitized) : (whole))

#endif
