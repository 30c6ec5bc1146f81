-- technique: returns a list whose length and items lie; must: error
function run(input)
  return setmetatable({[2] = 1}, {__len = function() return 5 end, __index = function() return 1 end})
end
