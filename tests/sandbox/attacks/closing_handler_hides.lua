-- technique: raises an error of its own while a limit passes; must: limit
function run(input)
  local guard = setmetatable({}, {__close = function() error("hidden") end})
  pcall(function() local x <close> = guard while true do end end)
  return input.marker
end
