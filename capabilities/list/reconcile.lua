--[[ capability
{
  "name": "list.reconcile",
  "intent": "compare two lists by a key and an amount",
  "description": "Amounts of one key are added up within a list, and compared in cents.",
  "aliases": [
    "reconcile payments against invoices",
    "find what differs between two tables",
    "match two lists of amounts"
  ],
  "input": {
    "type": "object",
    "required": ["rows", "other_rows", "key_field", "amount_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "other_rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "key_field": {"type": "string", "description": "field that says which rows belong together, in both lists"},
      "amount_field": {"type": "string", "description": "field that holds the amount, in both lists"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["matched", "differences"],
    "properties": {
      "matched": {"type": "integer", "minimum": 0, "description": "keys with equal amounts"},
      "differences": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "amount", "other_amount", "reason"],
          "properties": {
            "key": {"type": ["string", "number", "boolean"]},
            "amount": {"type": "number"},
            "other_amount": {"type": "number"},
            "reason": {"enum": ["only in the first list", "only in the second list", "amounts differ"]}
          },
          "additionalProperties": false
        },
        "description": "in order of first appearance"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "rows": [{"invoice": "A1", "amount": 10}, {"invoice": "A2", "amount": 20}, {"invoice": "A3", "amount": 5}],
        "other_rows": [
          {"invoice": "A1", "amount": 10},
          {"invoice": "A2", "amount": 15.5},
          {"invoice": "B9", "amount": 7}
        ],
        "key_field": "invoice",
        "amount_field": "amount"
      },
      "output": {
        "matched": 1,
        "differences": [
          {"key": "A2", "amount": 20, "other_amount": 15.5, "reason": "amounts differ"},
          {"key": "A3", "amount": 5, "other_amount": 0, "reason": "only in the first list"},
          {"key": "B9", "amount": 0, "other_amount": 7, "reason": "only in the second list"}
        ]
      }
    },
    {
      "input": {
        "rows": [{"invoice": 17, "amount": 0.3}],
        "other_rows": [{"invoice": 17, "amount": 0.1}, {"invoice": 17, "amount": 0.2}],
        "key_field": "invoice",
        "amount_field": "amount"
      },
      "output": {"matched": 1, "differences": []}
    },
    {
      "input": {"rows": [], "other_rows": [], "key_field": "invoice", "amount_field": "amount"},
      "output": {"matched": 0, "differences": []}
    },
    {
      "input": {"rows": [{"invoice": 17}], "other_rows": [], "key_field": "invoice", "amount_field": "amount"},
      "error": "not_a_number"
    },
    {
      "input": {"rows": [{"amount": 1}], "other_rows": [], "key_field": "invoice", "amount_field": "amount"},
      "error": "missing_field"
    },
    {
      "input": {
        "rows": [{"invoice": ["A1"], "amount": 1}],
        "other_rows": [],
        "key_field": "invoice",
        "amount_field": "amount"
      },
      "error": "not_a_plain_value"
    },
    {
      "input": {
        "rows": [{"invoice": "A1", "amount": 1e+300}],
        "other_rows": [],
        "key_field": "invoice",
        "amount_field": "amount"
      },
      "error": "out_of_range"
    }
  ]
}
]]
-- Beyond this, a number has no exact cents.
local LARGEST = 1e13

local function key_of(row, field, index)
  local value = row[field]
  if value == nil or value == json.null then
    fail("missing_field", "row " .. index .. " has no field '" .. field .. "'")
  end
  if type(value) == "table" then
    fail("not_a_plain_value", "row " .. index .. " has a list or an object in '" .. field .. "'")
  end
  return value
end

local function cents_of(row, field, index)
  local value = row[field]
  if type(value) ~= "number" then fail("not_a_number", "row " .. index .. " has no number in '" .. field .. "'") end
  if math.abs(value) > LARGEST then
    fail("out_of_range", "row " .. index .. " has too large a number in '" .. field .. "'")
  end
  return math.floor(value * 100 + 0.5)
end

local function add(rows, side, fields, sums, by_key)
  for index, row in ipairs(rows) do
    local key = key_of(row, fields.key, index)
    if not by_key[key] then
      by_key[key] = { key = key }
      sums[#sums + 1] = by_key[key]
    end
    by_key[key][side] = (by_key[key][side] or 0) + cents_of(row, fields.amount, index)
  end
end

local function reason_of(sum)
  if not sum.second then return "only in the first list" end
  return sum.first and "amounts differ" or "only in the second list"
end

function run(input, context)
  local sums, by_key = {}, {}
  local fields = { key = input.key_field, amount = input.amount_field }
  add(input.rows, "first", fields, sums, by_key)
  add(input.other_rows, "second", fields, sums, by_key)
  local matched, differences = 0, {}
  for _, sum in ipairs(sums) do
    if sum.first == sum.second then
      matched = matched + 1
    else
      differences[#differences + 1] = {
        key = sum.key,
        amount = (sum.first or 0) / 100,
        other_amount = (sum.second or 0) / 100,
        reason = reason_of(sum),
      }
    end
  end
  return { matched = matched, differences = differences }
end
