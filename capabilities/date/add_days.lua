--[[ capability
{
  "name": "date.add_days",
  "intent": "add days to a date",
  "aliases": [
    "which date is it in some days",
    "date some days before or after another",
    "shift a date by a number of days"
  ],
  "input": {
    "type": "object",
    "required": ["date", "days"],
    "properties": {
      "date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"},
      "days": {"type": "integer", "minimum": -4000000, "maximum": 4000000, "description": "may be negative"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["date"],
    "properties": {"date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"date": "2024-02-27", "days": 3}, "output": {"date": "2024-03-01"}},
    {"input": {"date": "2026-01-01", "days": -1}, "output": {"date": "2025-12-31"}},
    {"input": {"date": "2026-11-21", "days": 0}, "output": {"date": "2026-11-21"}},
    {"input": {"date": "9999-12-31", "days": 1}, "error": "date_out_of_range"}
  ]
}
]]
-- Days since 1970-01-01 in the Gregorian calendar, after Howard Hinnant, "chrono-compatible low-level date algorithms".
local function day_number(date)
  local year, month, day = date:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
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
  local month_index = (5 * day_of_year + 2) // 153
  local day = day_of_year - (153 * month_index + 2) // 5 + 1
  local month = month_index < 10 and month_index + 3 or month_index - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  if year < 1 or year > 9999 then fail("date_out_of_range", "the date is not in the years 1 to 9999") end
  return string.format("%04d-%02d-%02d", year, month, day)
end

function run(input, context)
  return { date = date_of(day_number(input.date) + math.tointeger(input.days)) }
end
