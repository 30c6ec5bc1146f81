-- technique: supplies the error handler of the world outside; must: harmless
function run(input)
  debug = {traceback = function() while true do end end}
  _G.debug = debug
  setmetatable(_G, {__index = function() while true do end end})
  error("x")
end
