-- Methods that strings don't have, where the receiver is surely a string.
local name = ("  x "):trim() --! unknown_method "text.trim(s)"
local parts = (name .. ","):split(",") --! unknown_method "text.split"
local s = tostring(1)
return parts, s:upper():startswith("x"), s:lenght() --! unknown_method --! unknown_method "did you mean 'len'?"
----
--: {"input": {"type": "object", "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}, "box": {"type": "object"}}}}
-- The contract says that it is a string.
local Box = {}
function Box:open() return self end
function run(input, context)
  local name = input.name
  local out = {name:open()} --! unknown_method "strings have no method"
  for _, tag in ipairs(input.tags) do
    out[#out + 1] = tag:open() --! unknown_method
  end
  return {out, input.box:open(), Box:open()}
end
----
-- Nothing in the file can have given the method to anything.
local function f(x) return x:replace("a", "b") end --! unknown_method "gsub"
return f("x")
----
-- Methods of the file's own classes, however they are made.
local A, B = {}, {}
A.__index = A
function A:first() return 1 end
A.second = function(self) return self end
A["third"] = function() return 3 end
setmetatable(B, {__index = A})
local function f(x, y) return x:first(), x:second(), y:third(), x:upper(), y:sub(1, 2), B:first() end
return f
----
-- Fields made up at run: nothing can be said.
local proxy = setmetatable({}, {__index = function(_, name) return function() return name end end})
return proxy:anything()
----
local class = {}
for _, name in ipairs({"a", "b"}) do class["get_" .. name] = function(self) return self[name] end end
local function f(x) return x:get_a() end
return f
----
-- Somebody else's objects: what a function is given may have methods that this file does not define.
local Reader = {}
Reader.__index = Reader
function Reader:line() return self.stream:read("l") end
function Reader:skip() self:advance(1) return self end
local function drain(stream) for chunk in stream:chunks() do stream.log:write(chunk) end end
return Reader, drain
----
-- But a slip is still a slip, and what `run` is given is plain data.
local Stack = {}
function Stack:push(item) self[#self + 1] = item end
local function fill(stack) stack:psuh(1) return stack end --! unknown_method "did you mean 'push'?"
local function cut(text) return text:trim() end --! unknown_method "text.trim(s)"
function run(input) return {fill(Stack), cut, input:total()} end --! unknown_method
