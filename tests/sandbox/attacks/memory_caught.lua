-- technique: catches a full memory, and fills it again; must: limit
function run(input)
  local t = {}
  while true do pcall(function() while true do t[#t + 1] = ('x'):rep(9000) .. #t end end) end
end
