-- technique: loops in the handler of xpcall; must: limit
function run(input)
  xpcall(error, function() while true do end end)
end
