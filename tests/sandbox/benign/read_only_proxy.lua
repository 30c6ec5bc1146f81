-- input: {"limit": 3}
-- output: {"limit": 3, "problem": "read-only: limit"}
function run(input)
  local proxy = setmetatable({}, {__index = input, __newindex = function(_, key) error('read-only: ' .. key, 0) end})
  local _, problem = pcall(function() proxy.limit = 4 end)
  return {limit = proxy.limit, problem = problem}
end
