--[[ capability
{
  "name": "orders.summary",
  "intent": "summary of all orders by status",
  "description": "Amounts are added in cents.",
  "aliases": ["how many orders are there in each status", "overview of the orders and their total amounts"],
  "input": {"type": "object", "properties": {}, "additionalProperties": false},
  "output": {
    "type": "object",
    "required": ["count", "counts", "sums"],
    "properties": {
      "count": {"type": "integer", "minimum": 0, "description": "orders in all"},
      "counts": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "count"],
          "properties": {
            "key": {"type": "string", "description": "a status"},
            "count": {"type": "integer", "minimum": 1}
          },
          "additionalProperties": false
        },
        "description": "by status, in alphabetical order"
      },
      "sums": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "sum"],
          "properties": {"key": {"type": "string", "description": "a currency"}, "sum": {"type": "number"}},
          "additionalProperties": false
        },
        "description": "total amount by currency, in alphabetical order"
      }
    },
    "additionalProperties": false
  },
  "grants": {"store.list": {"namespaces": ["orders"]}},
  "examples": [
    {
      "input": {},
      "output": {
        "count": 3,
        "counts": [{"key": "paid", "count": 2}, {"key": "refunded", "count": 1}],
        "sums": [{"key": "EUR", "sum": 99.8}, {"key": "USD", "sum": 10.1}]
      },
      "store": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "paid",
            "ordered_at": "2026-11-02"
          },
          "ORD-2": {
            "order_id": "ORD-2",
            "payment_id": "PAY-2",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "ordered_at": "2026-11-02"
          },
          "ORD-3": {
            "order_id": "ORD-3",
            "payment_id": "PAY-3",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 10.1,
            "currency": "USD",
            "status": "paid",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {"input": {}, "output": {"count": 0, "counts": [], "sums": []}},
    {
      "input": {},
      "output": {"count": 1, "counts": [{"key": "shipped", "count": 1}], "sums": [{"key": "EUR", "sum": 49.9}]},
      "store": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "shipped",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {
      "input": {},
      "error": "too_many_orders",
      "hosts": [{"call": "store.list", "result": {"items": [], "more": true}}]
    }
  ]
}
]]
local function cents_of(amount)
  return math.floor(amount * 100 + 0.5)
end

local function keys_of(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

function run(input, context)
  local listed = store.list{ namespace = "orders", limit = 1000 }
  if listed.more then fail("too_many_orders", "there are more than 1000 orders; a summary of a part would be wrong") end
  local by_status, by_currency = {}, {}
  for _, item in ipairs(listed.items) do
    local order = item.value
    by_status[order.status] = (by_status[order.status] or 0) + 1
    by_currency[order.currency] = (by_currency[order.currency] or 0) + cents_of(order.amount)
  end
  local counts, sums = {}, {}
  for index, status in ipairs(keys_of(by_status)) do counts[index] = { key = status, count = by_status[status] } end
  for index, currency in ipairs(keys_of(by_currency)) do
    sums[index] = { key = currency, sum = by_currency[currency] / 100 }
  end
  return { count = #listed.items, counts = counts, sums = sums }
end
