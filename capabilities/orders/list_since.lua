--[[ capability
{
  "name": "orders.list_since",
  "intent": "list the orders since a date as text",
  "aliases": ["which orders came in since a day", "recent orders, one a line"],
  "input": {
    "type": "object",
    "required": ["start_date"],
    "properties": {"start_date": {"type": "string", "format": "date"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["count", "text"],
    "properties": {"count": {"type": "integer", "minimum": 0}, "text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {"store.list": {"namespaces": ["orders"]}},
  "examples": [
    {
      "input": {"start_date": "2026-11-02"},
      "output": {
        "count": 2,
        "text": "ORD-1: 49.90 EUR, Ann Smith, paid, 2026-11-02\nORD-3: 10.00 USD, Ann Smith, shipped, 2026-11-03\n"
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
            "status": "paid",
            "ordered_at": "2026-11-01"
          },
          "ORD-3": {
            "order_id": "ORD-3",
            "payment_id": "PAY-3",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 10,
            "currency": "USD",
            "status": "shipped",
            "ordered_at": "2026-11-03"
          }
        }
      }
    },
    {"input": {"start_date": "2026-11-02"}, "output": {"count": 0, "text": ""}},
    {
      "input": {"start_date": "2026-12-01"},
      "output": {"count": 0, "text": ""},
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
          }
        }
      }
    },
    {
      "input": {"start_date": "2026-11-02"},
      "error": "invalid_order",
      "store": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": "49.90",
            "currency": "EUR",
            "status": "paid",
            "ordered_at": "2026-11-02"
          }
        }
      }
    }
  ]
}
]]
local function line_of(order, key)
  for _, field in ipairs({ "customer", "currency", "status", "ordered_at" }) do
    if type(order[field]) ~= "string" then fail("invalid_order", "the order '" .. key .. "' has no " .. field) end
  end
  if type(order.amount) ~= "number" then fail("invalid_order", "the order '" .. key .. "' has no amount") end
  local amount = string.format("%.2f", order.amount)
  return key .. ": " .. amount .. " " .. order.currency .. ", " .. order.customer .. ", " .. order.status .. ", "
    .. order.ordered_at .. "\n"
end

function run(input, context)
  local lines = {}
  local found = store.list{ namespace = "orders", limit = 1000 }
  if found.more then fail("too_many_orders", "there are more than 1000 orders") end
  for _, item in ipairs(found.items) do
    local line = line_of(item.value, item.key)
    if item.value.ordered_at >= input.start_date then lines[#lines + 1] = line end
  end
  return { count = #lines, text = table.concat(lines) }
end
