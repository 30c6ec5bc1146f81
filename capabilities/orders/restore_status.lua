--[[ capability
{
  "name": "orders.restore_status",
  "intent": "set an order back to an earlier status",
  "aliases": ["undo a change of an order's status", "restore the status of an order"],
  "input": {
    "type": "object",
    "required": ["order_id", "status_before"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "status_before": {"type": "string", "minLength": 1, "maxLength": 40, "description": "the status to go back to"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["order_id", "status"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "status": {"type": "string", "description": "paid, shipped, delivered, refunded ..."}
    },
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}},
  "examples": [
    {
      "input": {"order_id": "ORD-1", "status_before": "paid"},
      "output": {"order_id": "ORD-1", "status": "paid"},
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
            "status": "paid",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-1", "status_before": "paid"},
      "output": {"order_id": "ORD-1", "status": "paid"},
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
            "status": "paid",
            "ordered_at": "2026-11-02"
          }
        }
      }
    },
    {"input": {"order_id": "ORD-9", "status_before": "paid"}, "error": "order_not_found"}
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
  if found.value.status ~= input.status_before then
    local order = copy_of(found.value)
    -- What the status that is left has added to the order goes with it.
    if order.status == "refunded" then order.refund = nil end
    if order.status == "delivered" then order.delivery = nil end
    order.status = input.status_before
    store.put{ namespace = "orders", key = input.order_id, value = order, if_version = found.version }
  end
  return { order_id = input.order_id, status = input.status_before }
end
