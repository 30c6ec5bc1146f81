--[[ capability
{
  "name": "stats.average_by_group",
  "intent": "average of a field for each group",
  "description": "Empty cells are left out of the average.",
  "aliases": ["mean value per group", "give the average of a column per group", "average price per city"],
  "input": {
    "type": "object",
    "required": ["groups", "value_field"],
    "properties": {
      "groups": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "rows"],
          "properties": {
            "key": {"type": ["string", "number", "boolean"]},
            "rows": {
              "type": "array",
              "items": {"type": "object"},
              "description": "list of objects, such as the rows of a CSV"
            }
          },
          "additionalProperties": false
        },
        "description": "as list.group_by makes them"
      },
      "value_field": {"type": "string", "description": "name of the field that holds the numbers"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["averages"],
    "properties": {
      "averages": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "average"],
          "properties": {"key": {"type": ["string", "number", "boolean"]}, "average": {"type": "number"}},
          "additionalProperties": false
        },
        "description": "in the order of the groups"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "groups": [
          {"key": "Bonn", "rows": [{"price": 10}, {"price": 20}]},
          {"key": "Kiel", "rows": [{"price": 5.5}]}
        ],
        "value_field": "price"
      },
      "output": {"averages": [{"key": "Bonn", "average": 15.0}, {"key": "Kiel", "average": 5.5}]}
    },
    {
      "input": {"groups": [{"key": 2026, "rows": [{"price": 4}, {"price": ""}]}], "value_field": "price"},
      "output": {"averages": [{"key": 2026, "average": 4.0}]}
    },
    {"input": {"groups": [], "value_field": "price"}, "output": {"averages": []}},
    {
      "input": {"groups": [{"key": "Bonn", "rows": [{"price": "ten"}]}], "value_field": "price"},
      "error": "not_a_number"
    },
    {
      "input": {"groups": [{"key": "Bonn", "rows": [{"cost": 10}]}], "value_field": "price"},
      "error": "missing_field"
    },
    {"input": {"groups": [{"key": "Bonn", "rows": [{"price": ""}]}], "value_field": "price"}, "error": "no_numbers"}
  ]
}
]]
local function numbers_of(group, field)
  local numbers = {}
  for _, row in ipairs(group.rows) do
    local value = row[field]
    if type(value) == "number" then
      numbers[#numbers + 1] = value
    elseif value == nil or value == json.null then
      fail("missing_field", "a row of group '" .. tostring(group.key) .. "' has no field '" .. field .. "'")
    elseif value ~= "" then
      fail("not_a_number", "a row of group '" .. tostring(group.key) .. "' has no number in '" .. field .. "'")
    end
  end
  return numbers
end

local function sum_of(numbers)
  local sum = 0.0
  for _, number in ipairs(numbers) do sum = sum + number end
  if sum ~= sum or sum == math.huge or sum == -math.huge then
    fail("out_of_range", "the sum is too large to be a number")
  end
  return sum
end

function run(input, context)
  local averages = {}
  for index, group in ipairs(input.groups) do
    local numbers = numbers_of(group, input.value_field)
    if #numbers == 0 then fail("no_numbers", "group '" .. tostring(group.key) .. "' has no numbers to average") end
    averages[index] = { key = group.key, average = sum_of(numbers) / #numbers }
  end
  return { averages = averages }
end
