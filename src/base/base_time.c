/*
 * base_time.c - clocks, RFC 3339, calendar days.
 *
 * Days are counted in the proleptic Gregorian calendar from 1970-01-01. Years are shifted to begin in March, so that the
 * leap day is the last of its year and the month lengths follow one linear formula.
 */
#include "base/base.h"

#include <string.h>
#include <time.h>

#define US_PER_S 1000000ll
#define S_PER_DAY 86400ll
#define US_PER_DAY (S_PER_DAY * US_PER_S)
#define DAY_0000_01_01 (-719528)
#define DAY_9999_12_31 2932896

struct civil {
	int year, month, day;
};

static int64_t clock_us(clockid_t id)
{
	struct timespec t;

	CEIR_ASSERT(clock_gettime(id, &t) == 0);
	return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int64_t clock_real_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Year 0..9999, date that exists. 400 is added to the year to keep every division on positive numbers. */
static int32_t civil_to_days(struct civil c)
{
	int year = c.year + 400 - (c.month <= 2);
	int era = year / 400;
	int year_of_era = year % 400;
	int month_from_march = (c.month + 9) % 12;
	int day_of_year = (153 * month_from_march + 2) / 5 + c.day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (era - 1) * 146097 + day_of_era - 719468;
}

/* days from DAY_0000_01_01 on; the inverse of civil_to_days. */
static struct civil civil_of_days(int32_t days)
{
	int shifted = days + 719468 + 146097;
	int era = shifted / 146097;
	int day_of_era = shifted % 146097;
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month_from_march = (5 * day_of_year + 2) / 153;
	struct civil c;

	c.day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	c.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	c.year = year_of_era + (era - 1) * 400 + (c.month <= 2);
	return c;
}

/* The `width` decimal digits of value at p, leading zeros included. */
static void put_digits(char *p, int width, unsigned value)
{
	while (width-- > 0) {
		p[width] = (char)('0' + value % 10);
		value /= 10;
	}
}

static int32_t clamp_days(int64_t days)
{
	return days < DAY_0000_01_01 ? DAY_0000_01_01 : days > DAY_9999_12_31 ? DAY_9999_12_31 : (int32_t)days;
}

void date_print(int32_t days, char out[DATE_MAX])
{
	struct civil c = civil_of_days(clamp_days(days));

	memcpy(out, "0000-00-00", DATE_MAX);
	put_digits(out, 4, (unsigned)c.year);
	put_digits(out + 5, 2, (unsigned)c.month);
	put_digits(out + 8, 2, (unsigned)c.day);
}

static int64_t floor_day(int64_t us)
{
	return us / US_PER_DAY - (us % US_PER_DAY < 0);
}

int32_t date_of_us(int64_t us)
{
	return (int32_t)floor_day(us);
}

void time_rfc3339(int64_t us, char out[TIME_RFC3339_MAX])
{
	int32_t days = clamp_days(floor_day(us));
	int64_t in_day = us - days * US_PER_DAY;
	unsigned second;

	if (in_day < 0)
		in_day = 0;
	if (in_day >= US_PER_DAY)
		in_day = US_PER_DAY - 1;
	second = (unsigned)(in_day / US_PER_S);
	date_print(days, out);
	memcpy(out + 10, "T00:00:00.000000Z", sizeof("T00:00:00.000000Z"));
	put_digits(out + 11, 2, second / 3600);
	put_digits(out + 14, 2, second / 60 % 60);
	put_digits(out + 17, 2, second % 60);
	put_digits(out + 20, 6, (unsigned)(in_day % US_PER_S));
}

/* Takes exactly `width` digits off the front of *s. */
static bool take_digits(struct str *s, size_t width, int *value)
{
	int v = 0;

	if (s->n < width)
		return false;
	for (size_t i = 0; i < width; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	s->p += width;
	s->n -= width;
	*value = v;
	return true;
}

/* Takes one character off the front of *s when it is a or b. */
static bool take_char(struct str *s, char a, char b)
{
	if (s->n == 0 || (s->p[0] != a && s->p[0] != b))
		return false;
	s->p++;
	s->n--;
	return true;
}

/* full-date of RFC 3339 5.6: a date that exists. */
static bool take_date(struct str *s, struct civil *c)
{
	return take_digits(s, 4, &c->year) && take_char(s, '-', '-') && take_digits(s, 2, &c->month) && take_char(s, '-', '-') &&
	       take_digits(s, 2, &c->day) && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= month_days(c->year, c->month);
}

enum ceir_err date_parse(struct str s, int32_t *days)
{
	struct civil c;

	if (!take_date(&s, &c) || s.n != 0)
		return CEIR_EINVAL;
	if (c.year < 1900)
		return CEIR_ERANGE;
	*days = civil_to_days(c);
	return CEIR_OK;
}

/* partial-time of RFC 3339 5.6, in seconds; second 60 is looked at by the caller. Digits behind the sixth are dropped. */
static bool take_time(struct str *s, int *seconds, int *fraction_us)
{
	int hour, minute, second, digit, weight = 100000;

	if (!take_digits(s, 2, &hour) || !take_char(s, ':', ':') || !take_digits(s, 2, &minute) || !take_char(s, ':', ':') ||
		!take_digits(s, 2, &second) || hour > 23 || minute > 59 || second > 60)
		return false;
	*seconds = hour * 3600 + minute * 60 + second;
	*fraction_us = 0;
	if (!take_char(s, '.', '.'))
		return true;
	if (!take_digits(s, 1, &digit))
		return false;
	do {
		*fraction_us += digit * weight;
		weight /= 10;
	} while (take_digits(s, 1, &digit));
	return true;
}

/* time-offset of RFC 3339 5.6, in seconds east of UTC. */
static bool take_offset(struct str *s, int *offset_s)
{
	int hour, minute, sign;

	*offset_s = 0;
	if (take_char(s, 'Z', 'z'))
		return true;
	if (s->n == 0)
		return false;
	sign = s->p[0] == '-' ? -1 : 1;
	if (!take_char(s, '+', '-') || !take_digits(s, 2, &hour) || !take_char(s, ':', ':') || !take_digits(s, 2, &minute) ||
		hour > 23 || minute > 59)
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

/*
 * A leap second (RFC 3339 5.7, appendix D) is only ever the last of a UTC month; like POSIX time it becomes the first
 * second of the next one.
 */
static bool is_leap_second(int64_t utc_s)
{
	return utc_s % S_PER_DAY == 0 && civil_of_days((int32_t)(utc_s / S_PER_DAY)).day == 1;
}

enum ceir_err time_parse(struct str s, int64_t *us)
{
	struct civil c;
	int seconds, fraction_us, offset_s;
	bool second_60;
	int64_t utc_s;

	if (!take_date(&s, &c) || !take_char(&s, 'T', 't'))
		return CEIR_EINVAL;
	second_60 = s.n >= 8 && s.p[6] == '6';
	if (!take_time(&s, &seconds, &fraction_us) || !take_offset(&s, &offset_s) || s.n != 0)
		return CEIR_EINVAL;
	utc_s = civil_to_days(c) * S_PER_DAY + seconds - offset_s;
	/* The offset may lead out of the years that can be printed. */
	if (utc_s < DAY_0000_01_01 * S_PER_DAY || utc_s >= (DAY_9999_12_31 + 1) * S_PER_DAY)
		return CEIR_EINVAL;
	if (second_60 && !is_leap_second(utc_s))
		return CEIR_EINVAL;
	*us = utc_s * US_PER_S + fraction_us;
	return CEIR_OK;
}
