-- technique: builds chains of __index and __call that are walked in C; must: limit
function run(input)
  local t, call = {}, tostring
  for i = 1, 1900 do t = setmetatable({}, {__index = t, __newindex = t}) end
  for i = 1, 100 do call = setmetatable({}, {__call = call}) end
  while true do
    pcall(function() return t.x end)
    pcall(call)
  end
end
