-- The orders of each customer, newest first. Guests have no list.
SELECT c.customer_id,
       (SELECT json_group_array(
                   json_object('order_id', o.order_id, 'placed_at', o.placed_at,
                               'pieces', (SELECT sum(l.quantity) FROM order_lines AS l
                                           WHERE l.order_id = o.order_id),
                               'total_pence', (SELECT sum(l.quantity * l.unit_price_pence)
                                                 FROM order_lines AS l
                                                WHERE l.order_id = o.order_id),
                               'shipped', json(iif(o.shipped_at IS NULL, 'false', 'true')))
                   ORDER BY o.nth DESC)
          FROM orders AS o WHERE o.customer_id = c.customer_id) AS orders
  FROM (SELECT DISTINCT customer_id FROM orders WHERE customer_id <> 'guest') AS c
