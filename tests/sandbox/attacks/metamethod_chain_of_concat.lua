-- technique: answers a concatenation by a larger one; must: limit
function run(input)
  local t
  t = setmetatable({}, {__concat = function(one, other) return t .. t .. one .. other end})
  return t .. t
end
