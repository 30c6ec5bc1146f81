--[[ capability
{
  "name": "date.days_between",
  "intent": "number of days between two dates",
  "aliases": ["how many days from one date to another", "difference between two dates in days"],
  "input": {
    "type": "object",
    "required": ["start_date", "end_date"],
    "properties": {
      "start_date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"},
      "end_date": {"type": "string", "format": "date", "description": "YYYY-MM-DD"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["days"],
    "properties": {"days": {"type": "integer", "description": "negative when the end is before the start"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"start_date": "2024-02-01", "end_date": "2024-03-01"}, "output": {"days": 29}},
    {"input": {"start_date": "2026-01-01", "end_date": "2025-12-31"}, "output": {"days": -1}},
    {"input": {"start_date": "1999-12-31", "end_date": "1999-12-31"}, "output": {"days": 0}}
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

function run(input, context)
  return { days = day_number(input.end_date) - day_number(input.start_date) }
end
