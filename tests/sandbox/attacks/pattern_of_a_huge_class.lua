-- technique: matches a class of a megabyte; must: limit
function run(input)
  local class = '[' .. ('b'):rep(1 << 20) .. ']'
  while true do (('a'):rep(900)):find(class) end
end
