--[[ capability
{
  "name": "orders.get",
  "intent": "look up an order",
  "aliases": [
    "get an order by its id",
    "show the details of an order",
    "who ordered and what is the status of an order"
  ],
  "input": {
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "string", "minLength": 1, "maxLength": 100}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": [
      "order_id",
      "payment_id",
      "customer",
      "email",
      "amount",
      "amount_text",
      "currency",
      "status",
      "ordered_at"
    ],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "customer": {"type": "string"},
      "email": {"type": "string"},
      "amount": {"type": "number", "minimum": 0, "description": "in units of the currency, whole cents"},
      "amount_text": {"type": "string", "description": "for people, such as 49.90 EUR"},
      "currency": {"type": "string"},
      "status": {"type": "string", "description": "paid, shipped, delivered, refunded ..."},
      "ordered_at": {"type": "string", "format": "date", "description": "date of the order"}
    },
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["orders"]}},
  "examples": [
    {
      "input": {"order_id": "ORD-1"},
      "output": {
        "order_id": "ORD-1",
        "payment_id": "PAY-1",
        "customer": "Ann Smith",
        "email": "ann@example.org",
        "amount": 49.9,
        "currency": "EUR",
        "status": "paid",
        "ordered_at": "2026-11-02",
        "amount_text": "49.90 EUR"
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
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-2"},
      "output": {
        "order_id": "ORD-2",
        "payment_id": "PAY-2",
        "customer": "Ann Smith",
        "email": "ann@example.org",
        "amount": 250,
        "currency": "EUR",
        "status": "delivered",
        "ordered_at": "2026-11-02",
        "amount_text": "250.00 EUR"
      },
      "store": {
        "orders": {
          "ORD-2": {
            "order_id": "ORD-2",
            "payment_id": "PAY-2",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 250,
            "currency": "EUR",
            "status": "delivered",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-9"},
      "error": "order_not_found",
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
    }
  ]
}
]]
local function amount_text(amount, currency)
  return string.format("%.2f %s", amount, currency)
end

function run(input, context)
  local found = store.get{ namespace = "orders", key = input.order_id }
  if found.version == 0 then fail("order_not_found", "there is no order '" .. input.order_id .. "'") end
  local order = found.value
  return {
    order_id = order.order_id,
    payment_id = order.payment_id,
    customer = order.customer,
    email = order.email,
    amount = order.amount,
    amount_text = amount_text(order.amount, order.currency),
    currency = order.currency,
    status = order.status,
    ordered_at = order.ordered_at,
  }
end
