-- technique: recurses through __tostring and __index; must: limit
function run(input)
  local t
  t = setmetatable({}, {__tostring = function() return tostring(t) end, __index = function(_, k) return t[k .. 'x'] end})
  pcall(tostring, t)
  return t.a
end
