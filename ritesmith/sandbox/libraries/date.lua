-- Dates and times of the Gregorian calendar, years 1 to 9999, in UTC or at a fixed offset from it: no clock, no zones.
--
-- A moment is an ISO 8601 text, or a number of seconds since 1970-01-01T00:00:00Z. What makes a moment of another one
-- answers in kind: a text in the form that it was given, with the offset that it had.

local checks = ...
local match, sub, gsub, format = string.match, string.sub, string.gsub, string.format
local floor, tointeger = math.floor, math.tointeger

local DAY = 86400
local FIRST, LAST = -62135596800, 253402300799
local OFFSET_MAX = 1439

local MONTHS = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December" }
local WEEKDAYS = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" }

-- ---------------------------------------------------------------- the calendar

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

local LENGTHS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  return month == 2 and is_leap(year) and 29 or LENGTHS[month]
end

-- Days since 1970-01-01, and back: after Howard Hinnant, "chrono-compatible low-level date algorithms".
local function day_number(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local year_of_era = year - era * 400
  local day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
end

local function date_of(number)
  local shifted = number + 719468
  local era = shifted // 146097
  local rest = shifted - era * 146097
  local year_of_era = (rest - rest // 1460 + rest // 36524 - rest // 146096) // 365
  local day_of_year = rest - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
  local index = (5 * day_of_year + 2) // 153
  local month = index < 10 and index + 3 or index - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day_of_year - (153 * index + 2) // 5 + 1
end

-- 1970-01-01 was a Thursday, the fourth day.
local function weekday_of(number) return (number + 3) % 7 + 1 end

-- ---------------------------------------------------------------- reading

-- Minutes of "Z", "+02:00", "+0200" or "+02".
local function offset_of(zone)
  if zone == "Z" or zone == "z" then return 0 end
  local sign, hours, minutes = match(zone, "^([+-])(%d%d):?(%d%d)$")
  if not sign then sign, hours = match(zone, "^([+-])(%d%d)$") end
  if not sign then return nil end
  hours, minutes = tointeger(hours), tointeger(minutes or "0")
  if hours > 23 or minutes > 59 then return nil end
  return (sign == "-" and -1 or 1) * (hours * 60 + minutes)
end

-- A moment is kept as what its own clock shows: `day` since 1970, `second` of that day, `fraction` as digits (or of a
-- number `beyond`), `offset` in minutes; of a text also its `form`. Returns nothing and what is wrong where there is none.
local function read(text)
  if #text > 64 then return nil, "it has more than 64 characters" end
  local year, month, day, rest = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then return nil, "it does not begin with a date such as 2026-01-31" end
  year, month, day = tointeger(year), tointeger(month), tointeger(day)
  if year < 1 or month < 1 or month > 12 then return nil, "there is no such month" end
  if day < 1 or day > days_in(year, month) then return nil, "there is no such day" end
  local moment = { day = day_number(year, month, day), second = 0, fraction = "", offset = 0 }
  if rest == "" then
    moment.form = { date_only = true }
    return moment
  end
  local between, hour, minute, tail = match(rest, "^([Tt ])(%d%d):(%d%d)(.*)$")
  if not between then return nil, "what follows the date is not a time such as T08:30:00Z" end
  local second, after = match(tail, "^:(%d%d)(.*)$")
  local sign, fraction, zone
  if second then sign, fraction, zone = match(after, "^([.,])(%d+)(.*)$") end
  zone = zone or after or tail
  hour, minute, second = tointeger(hour), tointeger(minute), second and tointeger(second)
  if hour > 23 or minute > 59 or second and second > 59 then return nil, "there is no such time of day" end
  local offset = zone == "" and 0 or offset_of(zone)
  if not offset then return nil, "what follows the time is neither Z nor an offset such as +02:00" end
  moment.second, moment.fraction, moment.offset = hour * 3600 + minute * 60 + (second or 0), fraction or "", offset
  moment.form = { between = between, seconds = second ~= nil, sign = sign, zone = zone }
  local utc = moment.day * DAY + moment.second - offset * 60
  if utc < FIRST or utc > LAST then return nil, "in UTC it is not in the years 1 to 9999" end
  return moment
end

local function moment_of(value, name, argument)
  if type(value) == "string" then
    local moment, problem = read(value)
    if moment then return moment end
    checks.refuse(name, argument .. " must be an ISO 8601 date or date-time, got " .. checks.shown(value) .. ": "
      .. problem)
  end
  if type(value) ~= "number" then
    checks.refuse(name, argument .. " must be an ISO 8601 text or a number of seconds since 1970, got "
      .. checks.shown(value))
  end
  if not (value >= FIRST and value < LAST + 1) then
    checks.refuse(name, argument .. " must be in the years 1 to 9999, which " .. checks.shown(value)
      .. " seconds are not")
  end
  local whole = tointeger(floor(value))
  return { day = whole // DAY, second = whole % DAY, fraction = "", beyond = value - whole, offset = 0 }
end

local function utc_of(moment) return moment.day * DAY + moment.second - moment.offset * 60 end

-- The part of a second, as a number below 1.
local function fraction_of(moment)
  if moment.beyond then return moment.beyond end
  return moment.fraction ~= "" and tonumber("0." .. moment.fraction) or 0
end

local function offset_argument(value, name)
  if type(value) == "string" then
    local offset = offset_of(value)
    if offset then return offset end
    checks.refuse(name, "offset must be a text such as Z or +02:00, or minutes, got " .. checks.shown(value))
  end
  return checks.whole(value, name, "offset", -OFFSET_MAX, OFFSET_MAX)
end

-- The same moment on a clock at another offset, if one is named.
local function moved(moment, offset, name)
  if offset == nil then return moment end
  offset = offset_argument(offset, name)
  if moment.form and moment.form.date_only then
    checks.refuse(name, "a date without a time has no offset to change; give it a time")
  end
  local shown = utc_of(moment) + offset * 60
  if shown < FIRST or shown > LAST then checks.refuse(name, "at this offset it is not in the years 1 to 9999") end
  return { day = shown // DAY, second = shown % DAY, fraction = moment.fraction, beyond = moment.beyond,
    offset = offset }
end

-- ---------------------------------------------------------------- writing

local function zone_text(offset, colon)
  local minutes = offset < 0 and -offset or offset
  return format("%s%02d%s%02d", offset < 0 and "-" or "+", minutes // 60, colon, minutes % 60)
end

-- Six digits, cut and not rounded: the second that is shown stays the one that it is.
local function microseconds(moment)
  if moment.beyond then return format("%06d", floor(moment.beyond * 1000000)) end
  return sub(moment.fraction .. "000000", 1, 6)
end

local function clock(second, seconds)
  if seconds then return format("%02d:%02d:%02d", second // 3600, second // 60 % 60, second % 60) end
  return format("%02d:%02d", second // 3600, second // 60 % 60)
end

-- The moment as what it was given as.
local function in_kind(moment, form, name)
  local utc = utc_of(moment)
  local shown = moment.day * DAY + moment.second
  if utc < FIRST or utc > LAST or shown < FIRST or shown > LAST then
    checks.refuse(name, "the result is not in the years 1 to 9999")
  end
  if not form then
    local beyond = fraction_of(moment)
    return beyond == 0 and utc or utc + beyond
  end
  local text = format("%04d-%02d-%02d", date_of(moment.day))
  if form.date_only then return text end
  local seconds = form.seconds or moment.second % 60 ~= 0
  local fraction = moment.fraction ~= "" and form.sign .. moment.fraction or ""
  return text .. form.between .. clock(moment.second, seconds) .. fraction .. form.zone
end

local function iso_text(moment)
  local text = format("%04d-%02d-%02d", date_of(moment.day))
  if moment.form and moment.form.date_only then return text end
  local fraction = moment.fraction
  if moment.beyond and moment.beyond ~= 0 then fraction = match(microseconds(moment), "^(%d-)0*$") end
  return text .. "T" .. clock(moment.second, true) .. (fraction ~= "" and "." .. fraction or "")
    .. (moment.offset == 0 and "Z" or zone_text(moment.offset, ":"))
end

-- Year and number of the ISO 8601 week: the week of a day is that of its Thursday.
local function week_of(day)
  local thursday = day - weekday_of(day) + 4
  local year = date_of(thursday)
  return year, (thursday - day_number(year, 1, 1)) // 7 + 1
end

local CODES = {
  Y = function(moment) return format("%04d", (date_of(moment.day))) end,
  m = function(moment) return format("%02d", (select(2, date_of(moment.day)))) end,
  d = function(moment) return format("%02d", (select(3, date_of(moment.day)))) end,
  e = function(moment) return format("%d", (select(3, date_of(moment.day)))) end,
  y = function(moment) return format("%02d", date_of(moment.day) % 100) end,
  j = function(moment) return format("%03d", moment.day - day_number((date_of(moment.day)), 1, 1) + 1) end,
  H = function(moment) return format("%02d", moment.second // 3600) end,
  I = function(moment) return format("%02d", (moment.second // 3600 + 11) % 12 + 1) end,
  M = function(moment) return format("%02d", moment.second // 60 % 60) end,
  S = function(moment) return format("%02d", moment.second % 60) end,
  f = microseconds,
  p = function(moment) return moment.second < DAY // 2 and "AM" or "PM" end,
  a = function(moment) return sub(WEEKDAYS[weekday_of(moment.day)], 1, 3) end,
  A = function(moment) return WEEKDAYS[weekday_of(moment.day)] end,
  b = function(moment) return sub(MONTHS[select(2, date_of(moment.day))], 1, 3) end,
  B = function(moment) return MONTHS[select(2, date_of(moment.day))] end,
  u = function(moment) return format("%d", weekday_of(moment.day)) end,
  G = function(moment) return format("%04d", (week_of(moment.day))) end,
  V = function(moment) return format("%02d", (select(2, week_of(moment.day)))) end,
  F = function(moment) return format("%04d-%02d-%02d", date_of(moment.day)) end,
  T = function(moment) return clock(moment.second, true) end,
  z = function(moment) return zone_text(moment.offset, "") end,
  [":"] = function(moment) return zone_text(moment.offset, ":") end,
  s = function(moment) return format("%d", utc_of(moment)) end,
  ["%"] = function() return "%" end,
}

-- ---------------------------------------------------------------- the units

local SECONDS = { weeks = 7 * DAY, days = DAY, hours = 3600, minutes = 60, seconds = 1 }
-- Enough for all that there are, and little enough for exact sums.
local MOST = { years = 10000, months = 120000 }
local MOST_OTHERS = 400000000000
local AMOUNTS = { "years", "months", "weeks", "days", "hours", "minutes", "seconds" }
local STARTS = { "year", "quarter", "month", "week", "day", "hour", "minute" }

local function unit_argument(unit, name, known)
  for i = 1, #known do
    if known[i] == unit then return unit end
  end
  checks.refuse(name, "unit must be one of " .. table.concat(known, ", ") .. ", got " .. checks.shown(unit))
end

-- A day some months away: the same day of its month, or that month's last one.
local function months_away(day_before, months)
  local year, month, day = date_of(day_before)
  local index = year * 12 + month - 1 + months
  year, month = index // 12, index % 12 + 1
  local last = days_in(year, month)
  return day_number(year, month, day < last and day or last)
end

-- ---------------------------------------------------------------- the library

local library = {}

function library.parse(text)
  checks.text(text, "date.parse", "text")
  local moment = moment_of(text, "date.parse", "text")
  return in_kind(moment, nil, "date.parse")
end

function library.is_valid(text)
  return type(text) == "string" and read(text) ~= nil
end

function library.parts(moment, offset)
  local given = moved(moment_of(moment, "date.parts", "moment"), offset, "date.parts")
  local year, month, day = date_of(given.day)
  local beyond = fraction_of(given)
  return {
    year = year,
    month = month,
    day = day,
    hour = given.second // 3600,
    minute = given.second // 60 % 60,
    second = beyond == 0 and given.second % 60 or given.second % 60 + beyond,
    weekday = weekday_of(given.day),
    yearday = given.day - day_number(year, 1, 1) + 1,
    offset = given.offset,
  }
end

local PARTS = { "year", "month", "day", "hour", "minute", "second", "offset", "weekday", "yearday" }

function library.make(parts)
  checks.fields(parts, "date.make", "parts")
  checks.only(parts, "date.make", "parts", PARTS)
  local year = checks.whole(parts.year, "date.make", "parts.year", 1, 9999)
  local month = checks.whole(parts.month, "date.make", "parts.month", 1, 12)
  local day = checks.whole(parts.day, "date.make", "parts.day", 1, days_in(year, month))
  local hour = checks.whole(parts.hour or 0, "date.make", "parts.hour", 0, 23)
  local minute = checks.whole(parts.minute or 0, "date.make", "parts.minute", 0, 59)
  local second = parts.second or 0
  if type(second) ~= "number" or not (second >= 0 and second < 60) then
    checks.refuse("date.make", "parts.second must be a number from 0 to below 60, got " .. checks.shown(second))
  end
  local whole = tointeger(floor(second))
  local offset = offset_argument(parts.offset or 0, "date.make")
  local moment = { day = day_number(year, month, day), second = hour * 3600 + minute * 60 + whole, offset = offset,
    beyond = second - whole }
  return in_kind(moment, nil, "date.make")
end

function library.format(moment, pattern, offset)
  local given = moved(moment_of(moment, "date.format", "moment"), offset, "date.format")
  if pattern == nil then return iso_text(given) end
  checks.text(pattern, "date.format", "pattern")
  return (gsub(pattern, "%%(:?.?)", function(code)
    local write = code == ":z" and CODES[":"] or code ~= ":" and CODES[code]
    if write then return write(given) end
    -- After a colon only z stands for something.
    checks.refuse("date.format", "pattern has " .. checks.shown("%" .. code) .. ", which stands for nothing; '%%' is a "
      .. "percent sign")
  end))
end

function library.add(moment, amounts)
  local given = moment_of(moment, "date.add", "moment")
  checks.fields(amounts, "date.add", "amounts")
  checks.only(amounts, "date.add", "amounts", AMOUNTS)
  local much = {}
  for i = 1, #AMOUNTS do
    local unit = AMOUNTS[i]
    local most = MOST[unit] or MOST_OTHERS
    much[unit] = checks.whole(amounts[unit] or 0, "date.add", "amounts." .. unit, -most, most)
  end
  local day = months_away(given.day, much.years * 12 + much.months) + much.weeks * 7 + much.days
  local moved_seconds = much.hours * 3600 + much.minutes * 60 + much.seconds
  if moved_seconds ~= 0 and given.form and given.form.date_only then
    checks.refuse("date.add", "moment is a date without a time, " .. checks.shown(moment)
      .. ", to which only years, months, weeks and days can be added")
  end
  local second = given.second + moved_seconds
  local result = { day = day + second // DAY, second = second % DAY, fraction = given.fraction, beyond = given.beyond,
    offset = given.offset }
  return in_kind(result, given.form, "date.add")
end

-- Is `a`, `day` instead of its own, before `b`?
local function is_before(a, day, b)
  local one, other = day * DAY + a.second - a.offset * 60, utc_of(b)
  return one < other or one == other and fraction_of(a) < fraction_of(b)
end

function library.diff(from, to, unit)
  local first, last = moment_of(from, "date.diff", "from"), moment_of(to, "date.diff", "to")
  unit = unit == nil and "seconds" or unit_argument(unit, "date.diff", AMOUNTS)
  local size = SECONDS[unit]
  if size then
    local seconds = utc_of(last) - utc_of(first)
    local beyond = fraction_of(last) - fraction_of(first)
    -- Towards zero, first to whole seconds and then to whole units.
    if seconds > 0 and beyond < 0 then seconds = seconds - 1 end
    if seconds < 0 and beyond > 0 then seconds = seconds + 1 end
    return seconds < 0 and -(-seconds // size) or seconds // size
  end
  -- By what the clock of `from` shows.
  local shown = utc_of(last) + first.offset * 60
  local year, month = date_of(first.day)
  local last_year, last_month = date_of(shown // DAY)
  local months = (last_year - year) * 12 + last_month - month
  local reached = months_away(first.day, months)
  if months > 0 and is_before(last, last.day, { day = reached, second = first.second, offset = first.offset,
    fraction = first.fraction, beyond = first.beyond }) then
    months = months - 1
  elseif months < 0 and is_before(first, reached, last) then
    months = months + 1
  end
  if unit == "months" then return months end
  return months < 0 and -(-months // 12) or months // 12
end

function library.start_of(moment, unit)
  local given = moment_of(moment, "date.start_of", "moment")
  unit_argument(unit, "date.start_of", STARTS)
  local day, second = given.day, 0
  local year, month = date_of(day)
  if unit == "year" then
    day = day_number(year, 1, 1)
  elseif unit == "quarter" then
    day = day_number(year, month - (month - 1) % 3, 1)
  elseif unit == "month" then
    day = day_number(year, month, 1)
  elseif unit == "week" then
    day = day - weekday_of(day) + 1
  elseif unit == "hour" then
    second = given.second - given.second % 3600
  elseif unit == "minute" then
    second = given.second - given.second % 60
  end
  local start = { day = day, second = second, fraction = "", offset = given.offset }
  return in_kind(start, given.form, "date.start_of")
end

function library.weekday(moment)
  return weekday_of(moment_of(moment, "date.weekday", "moment").day)
end

function library.is_leap(year)
  return is_leap(checks.whole(year, "date.is_leap", "year", 1, 9999))
end

function library.days_in_month(year, month)
  year = checks.whole(year, "date.days_in_month", "year", 1, 9999)
  return days_in(year, checks.whole(month, "date.days_in_month", "month", 1, 12))
end

return library
