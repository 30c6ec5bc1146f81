--: {"grants": {"store.get": {"namespaces": ["orders"]}}}
-- Granted and used.
function run(input)
  return store.get{namespace = "orders", key = input.id}.value
end
----
function run(input)
  return store.get{namespace = "orders", key = input.id} --! grant_missing "add it to the contract"
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "time.now": {}}} --! grant_unused "'time.now'"
function run(input)
  return store.get{namespace = "orders", key = input.id}
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}, "log.info": {}}}
-- Through aliases, brackets, pcall, and as a value.
local db, write <const> = store, store.put
local info = log["info"]
function run(input)
  local get = db.get
  local ok, found = pcall(get, {namespace = "orders", keyy = input.id}) --! unknown_argument "did you mean 'key'?" --! missing_argument
  write{namespace = "order", key = input.id, value = {}} --! outside_grant "the contract allows 'orders'"
  info{message = 5} --! argument_type "string"
  return {ok, found, (db.get)}
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}}}
local handlers = {get = store.get}
function run(input) return handlers[input.op]{namespace = "orders", key = "x"} end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}}}
function run(input)
  return store[input.op]{namespace = "orders", key = "x"} --! host_undecided "checked when it runs"
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}}}
function run(input)
  local a = store.gett{} --! unknown_host_function "did you mean 'store.get'?"
  local b = stor.get{} --! unknown_global "did you mean 'store'?"
  local c = clock.now{} --! unknown_global
  return {a, b, c, store.get{namespace = "orders", key = "x"}}
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "store.list": {"namespaces": ["orders"]}}}
local NAMESPACE = "archive"
function run(input)
  store.get("orders", input.id) --! host_arguments "takes one table"
  store.get{"orders", input.id} --! host_arguments "named arguments"
  store:get{namespace = "orders", key = "x"} --! host_arguments "with ':'"
  store.get{key = 1, namespace = NAMESPACE} --! argument_type "minLength 1" --! outside_grant "'archive'"
  store.get() --! missing_argument "add namespace"
  store.get(nil) --! missing_argument
  store.get{namespace = "orders", key = nil} --! missing_argument "'key'"
  store.list{namespace = "orders", limit = 5000, prefix = {}} --! argument_type "maximum 1000" --! argument_type "a table"
  store.list{namespace = "orders", limit = -1} --! argument_type "minimum 1"
  local options = {namespace = "orders"}
  options.prefix = input.prefix
  store.list(options)
  store.list{namespace = input.namespace, limit = input.limit, [input.more] = 1}
  return {}
end
----
--: {"grants": {"store.put": {"namespaces": ["orders"]}}}
store.put = nil --! library_write
store.get = nil --! library_write --! grant_missing
function run(input) return store.put{namespace = "orders", key = "x", value = {total = 1, list = {1, 2}}} end
----
-- A local of that name is no host function.
local store = {get = function(key) return key end}
local time, id, log = 1, 2, {info = function() end}
log.info("x", 1)
return store.get("x"), time, id
----
--: {"grants": {"time.now": {}, "id.new": {}, "random.integer": {}}}
function run() return {time.now().iso, time.now{}.unix, id.new{prefix = "Order"}, random.integer{min = 1, max = 6.5}} end --! argument_type "pattern" --! argument_type "integer"
