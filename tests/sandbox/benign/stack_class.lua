-- input: {"items": [1, 2, 3]}
-- output: {"popped": [3, 2], "left": 1, "shown": "Stack(1)"}
local Stack = {}
Stack.__index = Stack
Stack.__len = function(self) return self.n end
Stack.__tostring = function(self) return 'Stack(' .. self.n .. ')' end
function Stack.new() return setmetatable({n = 0}, Stack) end
function Stack:push(x) self.n = self.n + 1 self[self.n] = x end
function Stack:pop()
  local x = self[self.n]
  self[self.n], self.n = nil, self.n - 1
  return x
end
function run(input)
  local stack = Stack.new()
  for _, item in ipairs(input.items) do stack:push(item) end
  local popped = {stack:pop(), stack:pop()}
  return {popped = popped, left = #stack, shown = tostring(stack)}
end
