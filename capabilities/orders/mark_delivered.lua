--[[ capability
{
  "name": "orders.mark_delivered",
  "intent": "mark an order as delivered",
  "description": "Only an order that was shipped; marking it again changes nothing.",
  "aliases": ["set the status of an order to delivered", "record who received an order"],
  "input": {
    "type": "object",
    "required": ["order_id", "received_by"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "received_by": {"type": "string", "minLength": 1, "maxLength": 200}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["order_id", "status", "status_before"],
    "properties": {
      "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "status": {"const": "delivered"},
      "status_before": {"type": "string", "description": "paid, shipped, delivered, refunded ..."}
    },
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}},
  "compensated_by": "orders.restore_status",
  "examples": [
    {
      "input": {"order_id": "ORD-1", "received_by": "Ann"},
      "output": {"order_id": "ORD-1", "status": "delivered", "status_before": "shipped"},
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
            "status": "delivered",
            "ordered_at": "2026-11-02",
            "delivery": {"received_by": "Ann", "status_before": "shipped"}
          }
        }
      }
    },
    {
      "input": {"order_id": "ORD-1", "received_by": "Ann"},
      "output": {"order_id": "ORD-1", "status": "delivered", "status_before": "shipped"},
      "store": {
        "orders": {
          "ORD-1": {
            "order_id": "ORD-1",
            "payment_id": "PAY-1",
            "customer": "Ann Smith",
            "email": "ann@example.org",
            "amount": 49.9,
            "currency": "EUR",
            "status": "delivered",
            "ordered_at": "2026-11-02",
            "delivery": {"received_by": "Ann", "status_before": "shipped"}
          }
        }
      },
      "store_after": {}
    },
    {"input": {"order_id": "ORD-9", "received_by": "Ann"}, "error": "order_not_found"},
    {
      "input": {"order_id": "ORD-2", "received_by": "Ann"},
      "error": "not_shipped",
      "store": {
        "orders": {
          "ORD-2": {
            "order_id": "ORD-2",
            "payment_id": "PAY-2",
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
local function copy_of(document)
  local copy = {}
  for field, value in pairs(document) do copy[field] = value end
  return copy
end

function run(input, context)
  local found = store.get{ namespace = "orders", key = input.order_id }
  if found.version == 0 then fail("order_not_found", "there is no order '" .. input.order_id .. "'") end
  local order = copy_of(found.value)
  if order.status ~= "delivered" then
    if order.status ~= "shipped" then
      fail("not_shipped", "order '" .. input.order_id .. "' can't be delivered: its status is '" .. order.status .. "'")
    end
    order.delivery = { received_by = input.received_by, status_before = order.status }
    order.status = "delivered"
    store.put{ namespace = "orders", key = input.order_id, value = order, if_version = found.version }
  end
  return { order_id = input.order_id, status = "delivered", status_before = "shipped" }
end
