--[[ capability
{
  "name": "orders.mark_refunded",
  "intent": "mark an order as refunded",
  "description": "Marking it again with the same refund changes nothing.",
  "aliases": ["set the status of an order to refunded", "record on an order that its money was returned"],
  "input": {
    "type": "object",
    "required": ["order_id", "refund_id"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "refund_id": {"type": "string", "minLength": 1, "maxLength": 100}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["order_id", "status", "status_before"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "status": {"const": "refunded"},
      "status_before": {"type": "string", "description": "paid, shipped, delivered, refunded ..."}
    },
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}},
  "compensated_by": "orders.restore_status",
  "examples": [
    {
      "input": {"order_id": "ORD-1", "refund_id": "PAY-1-R1"},
      "output": {"order_id": "ORD-1", "status": "refunded", "status_before": "paid"},
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
      },
      "store_after": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "ordered_at": "2026-11-02",
            "refund": {"refund_id": "PAY-1-R1", "status_before": "paid"}
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-1", "refund_id": "PAY-1-R1"},
      "output": {"order_id": "ORD-1", "status": "refunded", "status_before": "paid"},
      "store": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "ordered_at": "2026-11-02",
            "refund": {"refund_id": "PAY-1-R1", "status_before": "paid"}
          }
        }
      },
      "store_after": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "ordered_at": "2026-11-02",
            "refund": {"refund_id": "PAY-1-R1", "status_before": "paid"}
          }
        }
      }
    },
    {"input": {"order_id": "ORD-9", "refund_id": "PAY-9-R1"}, "error": "order_not_found"},
    {
      "input": {"order_id": "ORD-3", "refund_id": "PAY-3-R2"},
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
local function copy_of(document)
  local copy = {}
  for field, value in pairs(document) do copy[field] = value end
  return copy
end

function run(input, context)
  local found = store.get{ namespace = "orders", key = input.order_id }
  if found.version == 0 then fail("order_not_found", "there is no order '" .. input.order_id .. "'") end
  local order = copy_of(found.value)
  if order.status == "refunded" then
    if not order.refund or order.refund.refund_id ~= input.refund_id then
      fail("already_refunded", "order '" .. input.order_id .. "' was refunded by another refund")
    end
  else
    order.refund = { refund_id = input.refund_id, status_before = order.status }
    order.status = "refunded"
    store.put{ namespace = "orders", key = input.order_id, value = order, if_version = found.version }
  end
  return { order_id = input.order_id, status = "refunded", status_before = order.refund.status_before }
end
