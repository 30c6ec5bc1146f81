--[[ capability
{
  "name": "stats.sum_by_group",
  "intent": "sum of a field for each group",
  "description": "Empty cells count as nothing.",
  "aliases": ["total value per group", "add up a column per group", "total sales per city"],
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
    "required": ["sums"],
    "properties": {
      "sums": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "sum"],
          "properties": {"key": {"type": ["string", "number", "boolean"]}, "sum": {"type": "number"}},
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
      "output": {"sums": [{"key": "Bonn", "sum": 30.0}, {"key": "Kiel", "sum": 5.5}]}
    },
    {
      "input": {"groups": [{"key": true, "rows": [{"price": ""}]}], "value_field": "price"},
      "output": {"sums": [{"key": true, "sum": 0.0}]}
    },
    {"input": {"groups": [], "value_field": "price"}, "output": {"sums": []}},
    {
      "input": {"groups": [{"key": "Bonn", "rows": [{"price": "ten"}]}], "value_field": "price"},
      "error": "not_a_number"
    },
    {
      "input": {"groups": [{"key": "Bonn", "rows": [{"cost": 10}]}], "value_field": "price"},
      "error": "missing_field"
    }
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
  local sums = {}
  for index, group in ipairs(input.groups) do
    sums[index] = { key = group.key, sum = sum_of(numbers_of(group, input.value_field)) }
  end
  return { sums = sums }
end
