--[[ capability
{
  "name": "orders.validate_refund",
  "intent": "check whether an order can be refunded",
  "description": "Orders that are paid, shipped or delivered can be refunded.",
  "aliases": ["validate a refund for an order", "is this order refundable, and how much"],
  "input": {
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "string", "minLength": 1, "maxLength": 100}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["order_id", "payment_id", "customer", "email", "amount", "amount_text", "currency"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "customer": {"type": "string"},
      "email": {"type": "string"},
      "amount": {"type": "number", "minimum": 0, "description": "in units of the currency, whole cents"},
      "amount_text": {"type": "string", "description": "for people, such as 49.90 EUR"},
      "currency": {"type": "string"}
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
    },
    {
      "input": {"order_id": "ORD-2"},
      "error": "not_refundable",
      "store": {
        "orders": {
          "ORD-2": {
            "order_id": "ORD-2",
            "payment_id": "PAY-2",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "cancelled",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-3"},
      "error": "already_refunded",
      "store": {
        "orders": {
          "ORD-3": {
            "order_id": "ORD-3",
            "payment_id": "PAY-3",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "ordered_at": "2026-11-02"
          }
        }
      }
    }
  ]
}
]]
local refundable = { paid = true, shipped = true, delivered = true }

local function amount_text(amount, currency)
  return string.format("%.2f %s", amount, currency)
end

function run(input, context)
  local found = store.get{ namespace = "orders", key = input.order_id }
  if found.version == 0 then fail("order_not_found", "there is no order '" .. input.order_id .. "'") end
  local order = found.value
  if order.status == "refunded" then
    fail("already_refunded", "order '" .. input.order_id .. "' has been refunded already")
  end
  if not refundable[order.status] then
    local reason = "its status is '" .. order.status .. "'"
    local message = "order '" .. input.order_id .. "' can't be refunded: " .. reason
    fail("not_refundable", message, { details = { reason = reason } })
  end
  return {
    order_id = order.order_id,
    payment_id = order.payment_id,
    customer = order.customer,
    email = order.email,
    amount = order.amount,
    amount_text = amount_text(order.amount, order.currency),
    currency = order.currency,
  }
end
