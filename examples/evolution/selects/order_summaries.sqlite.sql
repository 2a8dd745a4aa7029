-- An order; each product's name once, where it first stands.
SELECT o.order_id,
       o.customer_id,
       o.customer_name,
       o.country,
       o.placed_at,
       (SELECT sum(l.quantity * l.unit_price_pence)
          FROM order_lines AS l WHERE l.order_id = o.order_id) AS total_pence,
       (SELECT sum(l.quantity) FROM order_lines AS l WHERE l.order_id = o.order_id) AS item_count,
       (SELECT json_group_array(n.name ORDER BY n.line)
          FROM (SELECT l.name, min(l.line) AS line
                  FROM order_lines AS l WHERE l.order_id = o.order_id
                 GROUP BY l.name) AS n) AS product_names,
       CASE WHEN o.shipped_at IS NULL THEN 'placed' ELSE 'shipped' END AS status,
       o.shipped_at
  FROM orders AS o
